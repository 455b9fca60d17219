"""Artifacts: files of the workspace that are kept after the job."""

from pathlib import Path

from danube._kept_on_failure import KeptOnFailure, register
from danube._legs import current_leg
from danube._session import current
from danube._texts import check_texts
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


def on_failure(path: str, name: str) -> None:
    """Keep what the path matches as an artifact when the danubefile fails, and leave it otherwise.

        artifacts.on_failure("target/surefire-reports", "reports")
        step.run("mvn verify")

    The upload is made after the pipeline function was left by an exception, also for a job that was cancelled or has
    reached its deadline (`grace_seconds` in the pipeline's YAML), and after a checked step failed. A path that matches
    nothing, and any other refusal, is a line of the log. Arguments as for `upload`; at most 50 calls in a job.
    """
    check_texts("artifact-invalid", {"the path of an artifact": path, "the name of an artifact": name})
    session, leg = current(), current_leg()
    register(KeptOnFailure(path, name, Path(session.workspace if leg is None else leg.workspace)))
