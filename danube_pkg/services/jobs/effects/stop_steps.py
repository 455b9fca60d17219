"""STOP_STEPS: every open step of a job that is ending."""

import asyncio
import logging

from danube_pkg.core.errors import StorageUnwritable
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.events import JobEvent, StepsStopped
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.approval_waits import thaw
from danube_pkg.services.jobs.log_lines import write_stopping
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.supervisor_calls import container_of, stop_step

COORDINATOR_EXIT_SECONDS = 3.0
"""The coordinator exits by itself after Finish; if it has not after this time, it is stopped."""

STOP_SECONDS = 20.0
"""The grace of 5 s, and time for the last output to arrive. Then the containers of steps that are left are ended."""

_log = logging.getLogger("danube.effects")


class StopSteps:
    """An `EffectHandler`. Commands are stopped at once; the coordinator gets time to exit unless the job was
    cancelled."""

    kind = EffectKind.STOP_STEPS

    def __init__(self, ports: EnginePorts, resources: JobResources) -> None:
        self._ports = ports
        self._resources = resources

    async def perform(self, active: ActiveJob) -> JobEvent:
        log = await self._resources.log(active)
        if active.job.approvals:
            await thaw(active, self._ports)
        for step in active.job.open_steps:
            if step.sequence == COORDINATOR_SEQUENCE and active.job.outcome is Status.SUCCESS:
                continue
            if step.container is not None:
                _announce(log, step)
        try:
            async with asyncio.timeout(STOP_SECONDS), asyncio.TaskGroup() as group:
                for step in active.job.open_steps:
                    group.create_task(self._stop_one(active, step.sequence), name=f"stop {step.id}")
        except TimeoutError:
            _log.warning("steps-not-stopped", extra={"fields": {"job": active.job.id, "seconds": STOP_SECONDS}})
            await self._end_containers(active)
        return StepsStopped()

    async def _end_containers(self, active: ActiveJob) -> None:
        """A step must not run behind the record of its end. Raises Unavailable while a process is left."""
        message = (
            f"stopped with its job: its processes did not end within {STOP_SECONDS:.0f} s, so its container was ended"
        )
        placed = {step.container: step for step in active.job.open_steps if step.container is not None}
        for _, step in sorted(placed.items()):
            container = container_of(active.job.pod_id, step)
            await self._ports.runtime.end_container(container, Reason.CANCELLED, message)

    async def _stop_one(self, active: ActiveJob, sequence: int) -> None:
        step = active.step(sequence)
        if step.container is None:
            return

        def has_ended(job: Job) -> bool:
            return active.step(sequence) not in job.open_steps

        if sequence == COORDINATOR_SEQUENCE:
            seconds = COORDINATOR_EXIT_SECONDS if active.job.outcome is not Status.CANCELLED else 0
            try:
                async with asyncio.timeout(seconds):
                    await active.wait_until(has_ended)
                    return
            except TimeoutError:
                _log.debug("coordinator-stopped", extra={"fields": {"job": active.job.id}})
        if await stop_step(active.job, step, self._ports):
            await active.wait_until(has_ended)


def _announce(log: JobLog, step: Step) -> None:
    """A full disk keeps the line out of the log, and must not keep the step running."""
    try:
        write_stopping(log, step)
    except StorageUnwritable as error:
        _log.error("log-disk-full", extra={"fields": {"step": step.id, "cause": str(error)}})
