"""Performing what a job owes, one effect after the other; the outcome goes back to the job as an event.

An effect that a newer generation made stale is cancelled if it is under way and skipped if it is not. A retryable failure
is tried again with backoff: the job's deadline, or its being cancelled, is the bound. A permanent one is an event as well.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from danube_pkg.core.errors import HostLacks, Permanent, PlatformError, Retryable, StorageFull
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.reasons import Reason, Status, reason_named
from danube_pkg.core.runtimes.pods import Limits, PodSpec
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.steps import (
    container_of,
    one_line,
    stop_step,
    write_step_end,
)

COORDINATOR_EXIT_SECONDS = 3.0
"""After Finish the coordinator leaves by itself; then it is stopped."""

STOP_SECONDS = 20.0
"""For a stop: the grace of 5 s, and time for the last output to arrive. What is left after it goes with the pod."""

RETRY_CAP_SECONDS = 30.0

_log = logging.getLogger("danube.effects")

OpenLog = Callable[[ActiveJob], Awaitable[JobLog]]


class EffectPerformer:
    """Performs effects of all jobs; it holds no state of its own."""

    def __init__(self, ports: EnginePorts, open_log: OpenLog) -> None:
        self._ports = ports
        self._open_log = open_log

    async def run(self, live: ActiveJob) -> None:
        """The job's own loop, until it is cancelled."""
        while True:
            await live.wait_until(lambda job: bool(live.owed))
            effect = live.owed[0]
            event = await self._perform_unless_stale(live, effect)
            await self._feed_back(live, effect, event)

    async def _feed_back(self, live: ActiveJob, effect: Effect, event: ev.JobEvent | None) -> None:
        backoff = Backoff(0.1, RETRY_CAP_SECONDS, random.random)
        while True:
            try:
                await live.apply(event, done=effect)
                return
            except Retryable as error:
                _log.error("effect-not-recorded", extra={"fields": _fields(effect, error)})
                await self._ports.clock.sleep(backoff.next())

    async def _perform_unless_stale(self, live: ActiveJob, effect: Effect) -> ev.JobEvent | None:
        """The event that follows, or None where the effect is stale."""

        def stale(job: Job) -> bool:
            return job.generation != effect.generation

        if stale(live.job):
            return None
        return await until(live.wait_until(stale), self._perform(live, effect), name=f"{effect.kind} {live.job.id}")

    async def _perform(self, live: ActiveJob, effect: Effect) -> ev.JobEvent:
        act = {
            EffectKind.CREATE_POD: self._create_pod,
            EffectKind.STOP_STEPS: self._stop_steps,
            EffectKind.CLOSE_LOG: self._close_log,
            EffectKind.DELETE_POD: self._delete_pod,
        }[effect.kind]
        backoff = Backoff(0.1, RETRY_CAP_SECONDS, random.random)
        while True:
            try:
                return await act(live)
            except Permanent as error:
                if effect.kind is EffectKind.CREATE_POD:
                    return _pod_failed(error)
                _log.error("effect-refused", extra={"fields": _fields(effect, error)})
            except Retryable as error:
                _log.warning("effect-retried", extra={"fields": _fields(effect, error)})
            except Exception as error:  # noqa: BLE001 - a bug must not stop the job's loop; it is logged and ends the job
                if effect.kind is EffectKind.CREATE_POD:
                    _log.exception("effect-failed", extra={"fields": _fields(effect, error)})
                    return ev.PodFailed(Reason.POD_FAILED, f"the pod could not be made: {error}")
                _log.exception("effect-failed", extra={"fields": _fields(effect, error)})
            await self._ports.clock.sleep(backoff.next())

    async def _create_pod(self, live: ActiveJob) -> ev.JobEvent:
        await self._open_log(live)
        container = await self._ports.runtime.create_pod(pod_spec(live.job, self._ports))
        return ev.PodReady(container.number)

    async def _stop_steps(self, live: ActiveJob) -> ev.JobEvent:
        """Commands are ended at once; the coordinator leaves by itself unless it was not the one who ended the job."""
        log = await self._open_log(live)
        for step in live.job.open_steps:
            if step.sequence == COORDINATOR_SEQUENCE and live.job.outcome is Status.SUCCESS:
                continue
            if step.container is not None:
                _say_that_it_stops(log, step)
        try:
            async with asyncio.timeout(STOP_SECONDS), asyncio.TaskGroup() as group:
                for step in live.job.open_steps:
                    group.create_task(self._stop_one(live, step.sequence), name=f"stop {step.id}")
        except TimeoutError:
            _log.warning("steps-not-stopped", extra={"fields": {"job": live.job.id, "seconds": STOP_SECONDS}})
        return ev.StepsStopped()

    async def _stop_one(self, live: ActiveJob, sequence: int) -> None:
        step = live.step(sequence)
        if step.container is None:
            return

        def has_ended(job: Job) -> bool:
            return live.step(sequence) not in job.open_steps

        if sequence == COORDINATOR_SEQUENCE:
            try:
                async with asyncio.timeout(COORDINATOR_EXIT_SECONDS if live.job.outcome is not Status.CANCELLED else 0):
                    await live.wait_until(has_ended)
                    return
            except TimeoutError:
                _log.debug("coordinator-stopped", extra={"fields": {"job": live.job.id}})
        if await stop_step(live, step, container_of(live.job.pod_id, step), self._ports):
            await live.wait_until(has_ended)

    async def _close_log(self, live: ActiveJob) -> ev.JobEvent:
        log = await self._open_log(live)
        job = live.job
        for step in job.steps:
            for attempt in range(1, step.attempt + 1):
                log.step_output(step.sequence, attempt).finish()
            if step.end is not None and step.sequence != COORDINATOR_SEQUENCE:
                write_step_end(log, step.sequence, step.attempt, step.end)
        await self._ports.egress.note_job(job, log)
        took = f" in {self._ports.clock.now() - job.started_at:.1f} s" if job.started_at is not None else ""
        reason = f" ({job.reason})" if job.reason else ""
        why = f": {one_line(job.message)}" if job.message else ""
        log.note("job-end", 0, f"--- job {job.outcome}{reason}{took}{why}")
        await log.close()
        return ev.LogClosed({step.sequence: log.step_range(step.sequence) for step in job.steps})

    async def _delete_pod(self, live: ActiveJob) -> ev.JobEvent:
        await self._ports.runtime.delete_pod(live.job.pod_id)
        return ev.PodDeleted()


def pod_spec(job: Job, ports: EnginePorts) -> PodSpec:
    """The pod of a job, from what it took along from its pipeline."""
    settings = job.settings
    limits = Limits(
        memory_bytes=settings.memory_mb * 1024**2,
        cpu_cores=settings.cpu,
        workspace_bytes=settings.workspace_size_gb * 1024**3,
    )
    token = ports.keys.job_token(job.id)
    return PodSpec(job.pod_id, job.id, job.pipeline, limits, settings.network, token, settings.egress_allowlist)


def _say_that_it_stops(log: JobLog, step: Step) -> None:
    """A full disk keeps the word from the log, and must not keep the step running."""
    try:
        log.note(f"stop:{step.sequence}", step.sequence, f"--- stopping {one_line(step.name)}")
    except StorageFull as error:
        _log.error("log-disk-full", extra={"fields": {"step": step.id, "cause": str(error)}})


def _pod_failed(error: Permanent) -> ev.PodFailed:
    """A runtime's permanent errors carry a Reason as their reference where there is one."""
    hint = f"; {error.hint}" if error.hint else ""
    general = Reason.HOST_LACKS if isinstance(error, HostLacks) else Reason.POD_FAILED
    reason = reason_named(error.reference, general)
    return ev.PodFailed(reason, f"{error}{hint}")


def _fields(effect: Effect, error: BaseException) -> dict[str, object]:
    reference = error.reference if isinstance(error, PlatformError) else type(error).__name__
    return {"job": effect.job_id, "effect": str(effect.kind), "reference": reference, "cause": str(error)}
