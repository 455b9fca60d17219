"""Artifacts: files of the workspace that are kept after the job."""

import os
from pathlib import Path

from danube._errors import DanubeError
from danube._kept_on_failure import KeptOnFailure, register
from danube._legs import current_leg
from danube._session import DownloadCall, current
from danube._texts import check_texts
from danube._uploads import attach_sbom, keep
from danube._workspace import refuse_outside


def upload(path: str, *, name: str, sbom: str | None = None) -> None:
    """Keep a file, a directory, or what a pattern matches, as an artifact of the job.

    path: relative to `/workspace`, that of the leg in an isolated leg of a matrix; may be a pattern (`dist/*.whl`).
    name: unique in the job: letters and digits of any language, blanks and `_.,@+()-`.
    sbom: a CycloneDX or SPDX 2 document in JSON, of at most 4 MiB, which lists what is in it; relative to
        `/workspace`. It is kept as the artifact `<name>.sbom.json`, and the server signs a statement that ties it to
        this one. It is read once the artifact is kept: one that is refused raises DanubeError and leaves the artifact
        without one, and the same call with a valid document completes it.

    A single file is kept as it is, with its own ending where a pattern matches no other; anything else as
    `<name>.tar.gz`, with sorted members, no owners and no times, so that the same files give the same bytes. Pipes,
    sockets and devices in a directory are left out, and so is the permission to execute a single file: the job's log
    says so. A pattern such as `dist/*` does not match names that begin with a dot. Raises DanubeError where the path
    matches nothing that can be kept, and where it leads out of the workspace.
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


def download(
    name: str,
    *,
    job: str | None = None,
    pipeline: str | None = None,
    branch: str | None = None,
    path: str = ".",
    allow_untrusted: bool = False,
) -> Path:
    """Get an artifact of another job, and return its path: `path/name`, a file, or a directory that is unpacked.

        built = artifacts.download("dist", pipeline="build")
        artifacts.download("report", job=ctx.upstream_job_id, path="reports")

    job: the id of a job of this pipeline, of another one of its team, or, where pipelines have no teams, of one that
        builds the same repository.
    pipeline: instead of it the name of such a pipeline: its newest successful job of the same branch or tag that has
        the artifact.
    branch: another branch than this job's, with `pipeline`.
    path: the directory below `/workspace` that it is written to; nothing there may have its name.
    allow_untrusted: take it also of a job with untrusted code, such as a pull request of a fork. Run nothing of it.

    The other job has ended; its signed provenance must state the artifact, and the bytes must have that digest. This
    job's provenance names it as a dependency. Raises DanubeError with a hint for what does not exist or is not allowed.
    """
    session, leg = current(), current_leg()
    texts = {"name": name, "job": job or "", "pipeline": pipeline or "", "branch": branch or "", "path": path}
    check_texts("artifact-invalid", texts)
    workspace = Path(session.workspace if leg is None else leg.workspace)
    directory = workspace / path
    refuse_outside("artifact-outside", workspace, [directory], followed=True)
    if os.path.lexists(directory / name) or not name or "/" in name or name in (".", ".."):
        what = f"the artifact {name!r} cannot be written to {path!r}: the name is in use there, or names no file"
        raise DanubeError("artifact-in-the-way", what, hint='artifacts.download("dist", pipeline="build", path="in")')
    call = DownloadCall(
        session.next_sequence("download"), name, job or "", pipeline or "", branch or "", bool(allow_untrusted)
    )
    return session.download(call, directory)
