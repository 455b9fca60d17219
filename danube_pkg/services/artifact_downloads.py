"""Gives a job an artifact of another: finds the other job, checks access, trust and provenance, and records the use."""

from collections.abc import AsyncIterator, Callable, Sequence

from danube_pkg.core.artifact_downloads import (
    EXAMPLE,
    MAX_CANDIDATES,
    MAX_DOWNLOADS,
    ArtifactUse,
    ArtifactUses,
    DownloadRequest,
    check_download,
    is_of_same_ref,
    is_shared,
    is_trusted_enough,
    refusal_of_trust,
)
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.errors import NotFound, Permanent, TooLarge
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.provenance.envelope import read_envelopes
from danube_pkg.core.provenance.ports import SigningKeyRing
from danube_pkg.core.provenance.verification import Checker, states_subject
from danube_pkg.core.reasons import Status
from danube_pkg.core.store import JobStore
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.provenance.statements import Statements


class Download(Record):
    """An artifact that a job may have. chunks: its bytes, in pieces."""

    artifact: Artifact
    use: ArtifactUse
    chunks: Callable[[], AsyncIterator[bytes]]


class ArtifactDownloads:
    """Downloads of all jobs. keys, is_signed_by: what statements of this server are verified with."""

    def __init__(
        self,
        jobs: JobStore,
        pipelines: PipelineStore,
        artifacts: Artifacts,
        statements: Statements,
        uses: ArtifactUses,
        keys: SigningKeyRing,
        is_signed_by: Checker,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._pipelines = pipelines
        self._artifacts = artifacts
        self._statements = statements
        self._uses = uses
        self._keys = keys
        self._is_signed_by = is_signed_by
        self._clock = clock

    async def open(self, job: Job, request: DownloadRequest) -> Download:
        """The use is recorded before the first byte is read. A repeated call, and a rebuild, gets the artifact of the
        same job as the first. Raises Invalid, NotFound, Forbidden, Conflict, TooLarge, and Permanent where the artifact
        is not the one that its provenance states."""
        check_download(request)
        uses = await self._uses.list_uses(job.id)
        if len([one for one in uses if one.sequence != request.sequence]) >= MAX_DOWNLOADS:
            what = f"a job can download {MAX_DOWNLOADS} artifacts, and this is one more"
            raise TooLarge("too-many-downloads", what, hint="upload them as one directory in the job that makes them")
        source = await self._source(job, request, uses)
        if not is_trusted_enough(job, source, allow_untrusted=request.allow_untrusted):
            raise refusal_of_trust(job, source)
        artifact = await self._artifacts.find(source.id, request.name)
        await self._check_stated(source, artifact)
        if not self._artifacts.has_bytes(artifact):
            what = f"the file of the artifact {artifact.name!r} of job {source.id} was removed"
            raise NotFound("artifact-gone", what, hint=f"run that job again: danube rerun {source.id}")
        use = ArtifactUse(
            job_id=job.id,
            sequence=request.sequence,
            name=artifact.name,
            file_name=artifact.file_name,
            sha256=artifact.sha256,
            size_bytes=artifact.size_bytes,
            source_job=source.id,
            pipeline=source.pipeline,
            ref=source.trigger.revision.full_ref,
            trusted=not source.trigger.is_untrusted,
            at=self._clock.now(),
        )
        await self._uses.add_use(use)
        return Download(artifact, use, lambda: self._artifacts.read(artifact, 0, artifact.size_bytes))

    async def _source(self, job: Job, request: DownloadRequest, uses: Sequence[ArtifactUse]) -> Job:
        """The other job, which the job's users may read. uses: the job's own. Raises NotFound, the same for one that
        does not exist."""
        if request.job:
            found = await self._jobs.load_job(request.job)
            if found is None or not await self._shared(job, [found]):
                raise _no_source(f"there is no job {request.job!r} whose artifacts this job may have")
            return found
        if (known := await self._known(job, request, uses)) is not None:
            return known
        wanted = JobFilter(
            pipelines=frozenset({request.pipeline}),
            status=Status.SUCCESS,
            branch=request.branch or job.trigger.revision.branch or None,
            limit=MAX_CANDIDATES,
        )
        candidates = [
            other
            for other in await self._jobs.list_jobs(wanted)
            if other.id != job.id
            and is_of_same_ref(job, other, request.branch)
            and is_trusted_enough(job, other, allow_untrusted=request.allow_untrusted)
        ]
        having = await self._artifacts.jobs_with(request.name, [one.id for one in candidates])
        if shared := await self._shared(job, [one for one in candidates if one.id in having]):
            return shared[0]
        ref = f"branch {request.branch}" if request.branch else job.trigger.revision.full_ref or "this ref"
        raise _no_source(f"pipeline {request.pipeline!r} has no successful job of {ref} with artifact {request.name!r}")

    async def _known(self, job: Job, request: DownloadRequest, uses: Sequence[ArtifactUse]) -> Job | None:
        """The source that the same call had before, in this job or in the one that it rebuilds."""
        before = await self._uses.list_uses(job.trigger.rebuild.job) if job.trigger.rebuild is not None else ()
        for use in (*uses, *before):
            if (use.sequence, use.name, use.pipeline) == (request.sequence, request.name, request.pipeline):
                return await self._jobs.load_job(use.source_job)
        return None

    async def _shared(self, job: Job, others: Sequence[Job]) -> Sequence[Job]:
        """Those whose artifacts the job's users may read. Each pipeline is loaded once."""
        ids = {one.pipeline_id for one in (job, *others)}
        loaded = {one: await self._pipelines.pipeline_by_id(one) for one in ids}
        teams = {one: found.team if found is not None else "" for one, found in loaded.items()}
        return [one for one in others if is_shared(job, teams[job.pipeline_id], one, teams[one.pipeline_id])]

    async def _check_stated(self, source: Job, artifact: Artifact) -> None:
        """Raises Conflict for a job whose artifacts are not released, Permanent for one that this server has not
        signed."""
        provenance = await self._statements.of(source)
        keys, envelopes = self._keys.public_keys(), read_envelopes(provenance.envelope)
        if not states_subject(envelopes, artifact.file_name, artifact.sha256, keys, self._is_signed_by):
            raise Permanent(
                "artifact-not-stated",
                f"the artifact {artifact.name!r} of job {source.id} is not the one that its provenance states",
                cause="its record differs from the signed statement, or the statement is signed by another key",
                hint=f"was the database changed? Run that job again: danube rerun {source.id}",
            )


def _no_source(what: str) -> NotFound:
    return NotFound(
        "artifact-source-unknown",
        what,
        cause="a job gets artifacts of its own pipeline, of its team's, and of its repository where there are no teams",
        hint=f"{EXAMPLE}, or branch= for another branch; danube run knows no other jobs",
    )
