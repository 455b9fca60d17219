"""The calls of a coordinator: context, source, steps, secrets, caches, artifacts, end. Each is idempotent by (job,
sequence).

The gRPC edge authenticates a call by its job token, and calls one method here. Text from a pod that is stored (names,
failure messages) is redacted first.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from danube_pkg.core.artifact_downloads import DownloadRequest
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.caches.cache import CacheRequest
from danube_pkg.core.caches.outcome import CacheResult
from danube_pkg.core.caches.snapshots import check_snapshot
from danube_pkg.core.errors import Conflict, NotFound, Retryable, TooLarge, Unauthenticated
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.coordination import MAX_ID_TOKENS, JobContext, StepOutcome, StepRequest
from danube_pkg.core.jobs.endings import refuse_when_ending
from danube_pkg.core.jobs.environment import job_url
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.report_notes import ReportNote
from danube_pkg.core.jobs.reports import JobReport
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.services.artifact_downloads import ArtifactDownloads, Download
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.caches import Caches
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.default_branches import DefaultBranches
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.grace import stop_until_ended
from danube_pkg.services.jobs.id_tokens import IdTokens
from danube_pkg.services.jobs.job_caches import JobCaches
from danube_pkg.services.jobs.job_results import JobResults
from danube_pkg.services.jobs.job_snapshots import JobSnapshots
from danube_pkg.services.jobs.job_text import JobText
from danube_pkg.services.jobs.log_lines import (
    write_id_token,
    write_pushed_image,
)
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.repeated_steps import end_before
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.step_placing import StepPlacing
from danube_pkg.services.jobs.supervisor_calls import read_output_again
from danube_pkg.services.jobs.waits import SOURCE, Waits
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.snapshot_proofs import SnapshotProofs

MAX_MESSAGE_LENGTH = 2000
"""For the message of a failure; the whole traceback is in the log."""

_log = logging.getLogger("danube.coordination")


class Coordination:
    """One object for all jobs. job_id: what `authenticate` returned for the call."""

    def __init__(
        self,
        engine: Engine,
        ports: EnginePorts,
        resources: JobResources,
        secrets: Secrets,
        artifacts: Artifacts,
        id_tokens: IdTokens,
        builds: ImageBuilds,
        caches: Caches,
        downloads: ArtifactDownloads,
        proofs: SnapshotProofs,
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._resources = resources
        self._secrets = secrets
        self._id_tokens = id_tokens
        self._builds = builds
        self._waits = Waits(ports.timing, resources.log, engine.slots)
        branches = DefaultBranches(ports)
        self._caches = JobCaches(ports, resources, self._waits, builds, caches, branches)
        self._snapshots = JobSnapshots(ports, resources, self._waits, caches, branches, proofs)
        self._placing = StepPlacing(ports, resources, self._waits, builds, self._snapshots)
        self._results = JobResults(ports, resources, self._caches, artifacts, builds, downloads)

    def authenticate(self, token: str) -> str:
        """The id of the job that the token is for. Raises Unauthenticated, also for a job that has ended."""
        job_id = self._ports.keys.check_job_token(token)
        try:
            phase = self._engine.active_job(job_id).job.phase
        except NotFound:
            phase = Phase.CLOSED
        if phase not in (Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING):
            raise Unauthenticated(
                "job-token-revoked", f"job {job_id} has ended, and its token with it", hint="danube rerun JOB"
            )
        return job_id

    async def context(self, job_id: str) -> JobContext:
        job = self._engine.active_job(job_id).job
        trigger = job.trigger
        return JobContext(
            job_id=job.id,
            pipeline=job.pipeline,
            repository=job.settings.repository,
            script=job.settings.script,
            trigger=trigger.type,
            revision=trigger.revision,
            params=trigger.params,
            pull_request=trigger.pull_request,
            deadline_at=job.deadline_at or 0.0,
            default_image=job.settings.image,
            job_url=job_url(job.id, self._ports.external_url),
            upstream_job_id=trigger.upstream_job_id,
            only_step=job.settings.only_step,
        )

    async def source(self, job_id: str) -> AsyncGenerator[bytes, None]:
        """The source tree as an uncompressed tar. An unreachable repository is tried again for some minutes.

        Raises Permanent `source-unavailable`, and Retryable where the stream has broken.
        """
        active = self._engine.active_job(job_id)
        source, backoff = self._resources.source(active), self._waits.backoff()
        while True:
            is_begun = False
            try:
                async with aclosing(source.read()) as chunks:
                    async with self._waits.watched(active, SOURCE):
                        first = await anext(chunks, b"")
                    is_begun = True
                    yield first
                    async for chunk in chunks:
                        yield chunk
            except Retryable as error:
                await self._waits.failed(active, SOURCE, error, Reason.SOURCE_UNAVAILABLE)
                if is_begun:
                    raise
            else:
                await self._waits.over(active, SOURCE)
                return
            await self._ports.clock.sleep(backoff.next())

    async def run_step(self, job_id: str, request: StepRequest) -> StepOutcome:
        """Run the step, or continue to wait for it, and return its end. The call may be repeated at any time."""
        active = self._engine.active_job(job_id)
        image = request.image or active.job.settings.image
        is_build = self._builds.is_build(image)
        request = self._builds.prepared(active.job, request) if is_build else request
        text = JobText(await self._resources.log(active))
        known = active.job.step(request.sequence)
        if known is None and active.job.phase is Phase.RUNNING:  # more secrets may be known when a call is repeated
            text.check_request(request)
            check_snapshot(request)
        name = _name_of(known, request, text)
        asked = ev.StepRequested(
            sequence=request.sequence,
            name=name,
            image=image,
            check=request.check,
            retries=request.retries,
            timeout_seconds=request.timeout_seconds,
            shell=request.shell,
            leg=text.masked(request.leg),
            isolation=request.isolation,
            retry_delay_seconds=request.retry_delay_seconds,
            retry_on=request.retry_on,
            cleanup=request.cleanup,
            before=await end_before(active, self._ports.jobs, request.sequence, image) if known is None else "",
        )
        if known is not None and known.phase is StepPhase.ENDED:
            await active.apply(asked)
        else:
            with active.steps.keeping(request):
                await active.apply(asked)
        if active.step(request.sequence).phase is StepPhase.ENDED:
            active.steps.drop_request(request.sequence)
        else:
            active.notify()
        while True:
            step = active.step(request.sequence)
            if step.phase is StepPhase.ENDED:
                outcome = await self._outcome(active, step)
                if is_build and outcome.end.status is Status.SUCCESS:
                    for pushed in await self._builds.record(active.job, request, outcome.output or b""):
                        write_pushed_image(await self._resources.log(active), pushed)
                return outcome
            is_next = step.phase is StepPhase.WAITING and active.job.runs_steps
            if is_next and not await self._placing.pauses(active, step):
                await self._placing.place(active, step, request)
            await active.wait_until(lambda job: self._calls_for_action(active, request.sequence))

    async def stop_step(self, job_id: str, sequence: int) -> None:
        """End a step and wait for its end. The call may be repeated at any time. Raises Conflict for no such step."""
        active = self._engine.active_job(job_id)
        await active.apply(ev.StepStopRequested(sequence))
        await stop_until_ended(active, sequence, self._ports)

    def _calls_for_action(self, active: ActiveJob, sequence: int) -> bool:
        phase = active.step(sequence).phase
        return phase is StepPhase.ENDED or (phase is StepPhase.WAITING and active.job.runs_steps)

    async def _outcome(self, active: ActiveJob, step: Step) -> StepOutcome:
        if step.end is None:
            raise Conflict(
                "step-without-end", f"step {step.sequence} has ended without a record", hint="danube explain JOB"
            )
        active.steps.drop_request(step.sequence)
        output = await self._output(active, step, step.end)
        truncated = output is not None and len(output) < step.end.output_bytes
        return StepOutcome(step.end, step.attempt, output, truncated, step.restored_from)

    async def _output(self, active: ActiveJob, step: Step, end: ev.StepEnd) -> bytes | None:
        """The end of its output; None where no record has its length, or the output is lost."""
        if step.restored_from:
            kept = active.steps.output_of(step)
            return kept if kept is not None else await self._snapshots.output_of(step)
        if not end.output_hash or not end.output_bytes:
            return b"" if end.output_hash else None
        output = active.steps.output_of(step)
        if output is None and step.container is not None:
            output = await read_output_again(active.job.pod_id, step, self._ports)
        return output

    async def read_secret(self, job_id: str, sequence: int, key: str) -> bytes:
        """The value, masked in the log and in the egress ledger from now on. The read is audited."""
        active = self._engine.active_job(job_id)
        refuse_when_ending(active.job, "secrets cannot be read")
        JobText(await self._resources.log(active)).refuse_secret("the name of a secret", key)
        value = await self._secrets.read_for_job(active.job, sequence, key, self._id_tokens.issue_to_server)
        await self._placing.mask(active, value)
        return value

    async def issue_id_token(self, job_id: str, audience: str) -> str:
        """An identity token of the job, masked from now on. A repeated call gets another one. Raises TooLarge."""
        active = self._engine.active_job(job_id)
        refuse_when_ending(active.job, "no identity token is issued")
        log = await self._resources.log(active)
        JobText(log).refuse_secret("the audience", audience)
        token = await self._id_tokens.issue(active.job, audience)
        if len(active.id_tokens) >= MAX_ID_TOKENS:
            what = f"a job may get {MAX_ID_TOKENS} identity tokens"
            raise TooLarge("too-many-id-tokens", what, hint="use a token until it expires: one for each audience")
        active.id_tokens.append(token.encode())
        await self._caches.withhold(active.job)
        await self._placing.mask(active, *active.id_tokens)
        write_id_token(log, audience)
        return token

    async def ask_for_environment(
        self, job_id: str, asked: ev.EnvironmentRequested
    ) -> tuple[EnvironmentApproval, float]:
        """Wait until a user has approved it and the job continues; with the job's deadline, which is later now. The
        call may be repeated at any time. Raises what the rule of the request does, and Conflict where the job ends."""
        active = self._engine.active_job(job_id)
        JobText(await self._resources.log(active)).refuse_secret("the name of an environment", asked.environment)
        await active.apply(asked)

        def approval_in(job: Job) -> EnvironmentApproval:
            return next(one for one in job.approvals if one.sequence == asked.sequence)

        job = await active.wait_until(lambda job: not approval_in(job).is_open)
        approval = approval_in(job)
        if approval.state is not ApprovalState.GRANTED:
            what = f"{asked.environment} was not approved: {active.job.label} is ending"
            raise Conflict("job-ending", what, cause=job.message, hint="danube explain JOB")
        return approval, job.deadline_at or 0.0

    async def restore_cache(self, job_id: str, request: CacheRequest) -> CacheResult:
        """Put the files of a cache into the container of its image. Raises Conflict, Invalid."""
        return await self._caches.restore(self._engine.active_job(job_id), request)

    async def save_cache(self, job_id: str, request: CacheRequest) -> CacheResult:
        """Keep the files of a cache, unless its key is known. Raises Conflict, Invalid."""
        return await self._caches.save(self._engine.active_job(job_id), request)

    async def receive_artifact(
        self,
        job_id: str,
        sequence: int,
        name: str,
        file_name: str,
        chunks: AsyncIterator[bytes],
        describes: str = "",
    ) -> Artifact:
        """Store an artifact; the same content under the same name is the same artifact. describes: of an SBOM, the
        artifact or pushed image that it is about."""
        return await self._results.receive_artifact(self._engine.active_job(job_id), name, file_name, chunks, describes)

    async def download_artifact(self, job_id: str, request: DownloadRequest) -> Download:
        """An artifact of another job. Raises as `ArtifactDownloads.open`, and Conflict for a job that is ending."""
        return await self._results.download_artifact(self._engine.active_job(job_id), request)

    async def report_tests(self, job_id: str, report: JobReport) -> None:
        """Keep what the danubefile reports of its tests. The call may be repeated at any time. Raises Conflict."""
        await self._results.report_tests(self._engine.active_job(job_id), report)

    async def add_note(self, job_id: str, note: ReportNote) -> None:
        """Keep a summary, coverage or annotations. The call may be repeated at any time. Raises Conflict."""
        await self._results.add_note(self._engine.active_job(job_id), note)

    async def finish(self, job_id: str, failure: ScriptFailure | None) -> None:
        """The pipeline function has returned, or has failed."""
        active = self._engine.active_job(job_id)
        if failure is not None:
            text = JobText(await self._resources.log(active))
            message = text.masked(failure.message)[:MAX_MESSAGE_LENGTH]
            failure = ScriptFailure(failure.reason, message, failure.step)
        await active.apply(ev.Finished(failure))


def _name_of(known: Step | None, request: StepRequest, text: JobText) -> str:
    """The masked name. A repeated call keeps the name of the first, though more secrets may be known now."""
    name = text.masked(request.name)
    return known.name if known is not None and text.masked(known.name) == name else name
