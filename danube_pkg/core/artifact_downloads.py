"""Which artifacts of other jobs a job may have, and the record of each that it got.

A job reads those of its own pipeline, of its team's pipelines, and, where neither has a team, of pipelines that build
the same repository. Untrusted code reads what its own pull request has made, and nothing else. A trusted job gets
nothing of untrusted code unless its danubefile says so.
"""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.caches.cache import own_scope
from danube_pkg.core.errors import Forbidden, Invalid
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.records import Record

MAX_DOWNLOADS = 200
"""The downloads of one job: each is named in its provenance."""

MAX_CANDIDATES = 200
"""The newest successful jobs of a pipeline that are searched for an artifact."""

EXAMPLE = 'artifacts.download("dist", pipeline="build")'


class DownloadRequest(Record):
    """One call of `artifacts.download`. job: an id; or pipeline: a name, of which the newest successful job counts.
    branch: of that job; "" for the ref of the job that downloads. allow_untrusted: also of untrusted code."""

    sequence: int
    name: str
    job: str = ""
    pipeline: str = ""
    branch: str = ""
    allow_untrusted: bool = False


class ArtifactUse(Record):
    """A download: what a job has read of another. ref, trusted: of that other job. at: Unix seconds."""

    job_id: str
    sequence: int
    name: str
    file_name: str
    sha256: str
    size_bytes: int
    source_job: str
    pipeline: str
    ref: str
    trusted: bool
    at: float


class ArtifactUses(Protocol):
    """What each job has downloaded."""

    async def add_use(self, use: ArtifactUse) -> None:
        """Replaces that of the same call."""
        ...

    async def list_uses(self, job_id: str) -> Sequence[ArtifactUse]: ...


def check_download(request: DownloadRequest) -> None:
    """Raises Invalid unless the source is named by one of its two ways."""
    if bool(request.job) == bool(request.pipeline) or (request.branch and not request.pipeline):
        what = (
            f"the download of artifact {request.name!r} must name either a job or a pipeline, and a branch only of that"
        )
        raise Invalid("artifact-source-invalid", what, hint=EXAMPLE)


def is_shared(job: Job, team: str, other: Job, other_team: str) -> bool:
    """Whether the job belongs to users who may read the artifacts of the other."""
    if job.pipeline_id == other.pipeline_id or (team and team == other_team):
        return True
    return team == other_team and job.settings.repository == other.settings.repository


def is_of_same_ref(job: Job, other: Job, branch: str) -> bool:
    """Whether the other job is of that branch, or of the job's own ref where none is named."""
    revision = other.trigger.revision
    return revision.branch == branch if branch else revision.full_ref == job.trigger.revision.full_ref


def is_trusted_enough(job: Job, other: Job, *, allow_untrusted: bool) -> bool:
    """Untrusted code gets what its own pull request has made; a trusted job gets it only where that is allowed."""
    if job.trigger.is_untrusted:
        return own_scope(job) == own_scope(other) and job.settings.repository == other.settings.repository
    return allow_untrusted or not other.trigger.is_untrusted


def refusal_of_trust(job: Job, other: Job) -> Forbidden:
    """The error of a source that `is_trusted_enough` does not allow."""
    if job.trigger.is_untrusted:
        return Forbidden(
            "artifact-of-others",
            f"untrusted code gets no artifact of {other.label}",
            cause="a pull request that is not trusted gets those of its own jobs alone",
            hint="download it in a job of the branch, after the merge",
        )
    return Forbidden(
        "artifact-untrusted",
        f"the artifact of {other.label} was made by untrusted code",
        cause="the authors of a pull request that is not trusted decide what is in it",
        hint="artifacts.download(NAME, job=JOB, allow_untrusted=True), and run nothing of it",
    )
