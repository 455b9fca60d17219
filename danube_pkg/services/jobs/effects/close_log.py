"""CLOSE_LOG: the rest of every step's output, the job's last line, and the index."""

import logging

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.events import JobEvent, LogClosed
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.outcome import without_log
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.reasons import Reason
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import (
    has_every_start,
    write_job_end,
    write_notice,
    write_pod_kept,
    write_pod_not_kept,
    write_step_end,
)
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources

_log = logging.getLogger("danube.pods")


class CloseLog:
    """An `EffectHandler`."""

    kind = EffectKind.CLOSE_LOG

    def __init__(self, ports: EnginePorts, resources: JobResources) -> None:
        self._ports = ports
        self._resources = resources

    async def perform(self, active: ActiveJob) -> JobEvent:
        log = await self._resources.log(active)
        job = active.job
        for step in job.steps:
            for attempt in range(1, step.attempt + 1):
                log.step_output(step.sequence, attempt).finish()
            if step.end is not None and step.sequence != COORDINATOR_SEQUENCE:
                write_step_end(log, step, step.attempt, step.end)
        is_closed = job.keeps_pod and await self._close_network(job, log)
        await self._ports.egress.note_job(job, log)
        is_lost = not has_every_start(log, job)
        if is_lost:
            write_notice(log, f"{Reason.LOG_LOST}: earlier lines of this log are gone")
        write_job_end(log, without_log(job) if is_lost else job, self._ports.clock.now())
        await log.close()
        ranges = {step.sequence: log.step_range(step.sequence) for step in job.steps}
        ports = self._ports
        return LogClosed(ranges, is_lost, await ports.logs.digest(job.id), await ports.egress.digest(job), is_closed)

    async def _close_network(self, job: Job, log: JobLog) -> bool:
        """Before the egress ledger is sealed. A pod of which that is not certain is not kept."""
        try:
            await self._ports.runtime.close_network(job.pod_id)
        except PlatformError as error:
            _log.warning("pod-not-kept", extra={"fields": {"job": job.id, "cause": str(error)}})
            write_pod_not_kept(log, str(error))
            return False
        write_pod_kept(log, job)
        return True
