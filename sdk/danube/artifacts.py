"""Artifacts: files of the workspace that are kept after the job."""

from danube._uploads import attach_sbom, keep


def upload(path: str, *, name: str, sbom: str | None = None) -> None:
    """Keep a file, a directory, or what a pattern matches, as an artifact of the job.

    path: relative to `/workspace`, that of the leg in an isolated leg of a matrix; may be a pattern (`dist/*.whl`).
    name: unique in the job.
    sbom: a CycloneDX or SPDX 2 document in JSON, of at most 4 MiB, which lists what is in it; relative to
        `/workspace`. It is kept as the artifact `<name>.sbom.json`, and the server signs a statement that ties it to
        this one. It is read once the artifact is kept: one that is refused raises DanubeError and leaves the artifact
        without one, and the same call with a valid document completes it.

    A single file is kept as it is; anything else as `<name>.tar.gz`, with sorted members, no owners and no times,
    so that the same files give the same bytes. Pipes, sockets and devices in a directory are left out. Raises
    DanubeError where the path matches nothing that can be kept, and where it leads out of the workspace.
    """
    keep(path, name)
    if sbom is not None:
        attach_sbom(sbom, name, f"{name}.sbom.json")
