"""What a coordinator may ask of the server, each call idempotent by (job, sequence): context, source, steps, secrets, artifacts, end.

The gRPC edge authenticates a call by its job token and then calls one method here. Text that comes out of a pod and is
kept (names, failure messages) is redacted before it reaches a record.
"""

import logging
from collections.abc import AsyncIterator

from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.errors import Conflict, NotFound, Permanent, Unauthenticated
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.coordination import JobContext, StepOutcome, StepRequest
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.reasons import Reason, Status, reason_named
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.steps import container_of, read_output_again
from danube_pkg.services.secrets import Secrets

MAX_MESSAGE_LENGTH = 2000
"""A sentence and a little context; the whole traceback is in the log."""

_log = logging.getLogger("danube.coordination")


class Coordination:
    """One object for all jobs; `job_id` is what `authenticate` said."""

    def __init__(self, engine: Engine, ports: EnginePorts, secrets: Secrets, artifacts: Artifacts) -> None:
        self._engine = engine
        self._ports = ports
        self._secrets = secrets
        self._artifacts = artifacts

    def authenticate(self, token: str) -> str:
        """The job that the token is for; raises Unauthenticated, also when that job is not active any more."""
        job_id = self._ports.keys.check_job_token(token)
        try:
            phase = self._engine.live(job_id).job.phase
        except NotFound:
            phase = Phase.CLOSED
        if phase not in (Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING):
            raise Unauthenticated(
                "job-token-revoked", f"job {job_id} has ended, and its token with it", hint="danube rerun JOB"
            )
        return job_id

    async def context(self, job_id: str) -> JobContext:
        job = self._engine.live(job_id).job
        trigger = job.trigger
        return JobContext(
            job_id=job.id,
            pipeline=job.pipeline,
            repository=job.settings.repository,
            script=job.settings.script,
            trigger=trigger.type,
            ref=trigger.ref,
            branch=trigger.branch,
            tag=trigger.tag,
            commit_sha=trigger.commit_sha,
            params=trigger.params,
            pull_request=trigger.pull_request,
            deadline_at=job.deadline_at or 0.0,
            default_image=job.settings.image,
        )

    def source(self, job_id: str) -> AsyncIterator[bytes]:
        """The source tree as an uncompressed tar."""
        return self._engine.source(self._engine.live(job_id)).read()

    async def run_step(self, job_id: str, request: StepRequest) -> StepOutcome:
        """Runs the step, or goes on waiting for it, and returns its end; the same call may come any number of times."""
        live = self._engine.live(job_id)
        image = request.image or live.job.settings.image
        name = await self._name_of(live, request)
        asked = ev.StepAsked(request.sequence, name, image, request.check, request.retries, request.timeout_seconds)
        await live.apply(asked)
        if live.step(request.sequence).phase is not StepPhase.ENDED:
            live.memory(request.sequence).request = request
            live.notify()
        while True:
            step = live.step(request.sequence)
            if step.phase is StepPhase.ENDED:
                return await self._outcome(live, step)
            if step.phase is StepPhase.WAITING and live.job.phase is Phase.RUNNING:
                await self._place(live, step)
            await live.wait_until(lambda job: self._calls_for_action(live, request.sequence))

    def _calls_for_action(self, live: ActiveJob, sequence: int) -> bool:
        phase = live.step(sequence).phase
        return phase is StepPhase.ENDED or (phase is StepPhase.WAITING and live.job.phase is Phase.RUNNING)

    async def _place(self, live: ActiveJob, step: Step) -> None:
        """A living container of its image; from the commit on, the attempt counts as started there and only there."""
        try:
            container = await self._ports.runtime.ensure_container(live.job.pod_id, step.image)
        except Permanent as error:
            hint = f"; {error.hint}" if error.hint else ""
            reason = reason_named(error.reference, Reason.POD_FAILED)
            message = f"has no container for image {step.image!r}: {error}{hint}"
            end = ev.StepEnd(status=Status.FAILURE, reason=reason, message=message)
            await live.apply(ev.StepEnded(step.sequence, step.attempt, end))
            return
        kills = await self._ports.runtime.memory_kills(container)
        await live.apply(ev.StepPlaced(step.sequence, step.attempt, container.number, kills))

    async def _name_of(self, live: ActiveJob, request: StepRequest) -> str:
        """The name as it may be kept. A repeated call keeps the name of the first, whatever secrets came since."""
        known = live.job.step(request.sequence)
        name = await self._redacted(live, request.name)
        return known.name if known is not None and await self._redacted(live, known.name) == name else name

    async def _outcome(self, live: ActiveJob, step: Step) -> StepOutcome:
        if step.end is None:
            raise Conflict(
                "step-without-end", f"step {step.sequence} has ended without a record", hint="danube explain JOB"
            )
        live.memory(step.sequence).request = None
        output = await self._output(live, step, step.end)
        truncated = output is not None and len(output) < step.end.output_bytes
        return StepOutcome(step.end, step.attempt, output, truncated)

    async def _output(self, live: ActiveJob, step: Step, end: ev.StepEnd) -> bytes | None:
        """The end of what it printed; None where no record says how much that was, or nobody holds it any more."""
        if not end.output_hash or not end.output_bytes:
            return b"" if end.output_hash else None
        output = live.output_of(step)
        if output is None and step.container is not None:
            output = await read_output_again(step, container_of(live.job.pod_id, step), self._ports)
        return output

    async def read_secret(self, job_id: str, sequence: int, key: str) -> bytes:
        """The value, masked in the log and in the egress ledger from now on; the read is recorded, the value is not."""
        live = self._engine.live(job_id)
        if live.job.phase is not Phase.RUNNING:
            raise Conflict(
                "job-ending", f"{live.job.label} is ending and reads no more secrets", hint="danube rerun JOB"
            )
        value = await self._secrets.read_for_job(live.job, sequence, key)
        log = await self._engine.open_log(live)
        log.set_secrets([*await self._engine.masks.values(live.job), value])
        await self._ports.egress.mask(live.job)
        return value

    async def receive_artifact(
        self, job_id: str, sequence: int, name: str, file_name: str, chunks: AsyncIterator[bytes]
    ) -> Artifact:
        """Keep an artifact; the same content under the same name is the same artifact."""
        live = self._engine.live(job_id)

        def check_wanted() -> None:
            if live.job.phase is not Phase.RUNNING:
                raise Conflict(
                    "job-ending", f"{live.job.label} is ending and keeps no more artifacts", hint="danube rerun JOB"
                )

        check_wanted()
        artifact = await self._artifacts.receive(live.job, name, file_name, chunks, check_wanted)
        log = await self._engine.open_log(live)
        log.note(
            f"artifact:{artifact.name}",
            0,
            f"--- artifact {artifact.name}: {artifact.size_bytes} bytes, sha256 {artifact.sha256}",
        )
        return artifact

    async def finish(self, job_id: str, failure: ScriptFailure | None) -> None:
        """The pipeline function returned, or did not."""
        live = self._engine.live(job_id)
        if failure is not None:
            message = (await self._redacted(live, failure.message))[:MAX_MESSAGE_LENGTH]
            failure = ScriptFailure(failure.reason, message, failure.step)
        await live.apply(ev.Finished(failure))

    async def _redacted(self, live: ActiveJob, text: str) -> str:
        """By the log, which knows everything that the job can know, and has what it takes at hand."""
        return (await self._engine.open_log(live)).redact(text)
