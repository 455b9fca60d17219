"""The wait of one job for approval of an environment, derived from its state: freeze, end the wait in time, thaw.

A restarted server finds the wait in the stored job and continues it. Freezing spares the machine and is not guaranteed:
where it cannot be done the log says so, and the job waits all the same.
"""

import logging
from collections.abc import Callable

from danube_pkg.core.errors import Permanent, PlatformError
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.events import EnvironmentExpired
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.steps import FOLLOWED
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import write_approval
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.jobs.supervisor_calls import freeze_step

_log = logging.getLogger("danube.jobs")


class ApprovalWait:
    """One request of one job. `run` returns when the job continues or ends. queue_changed: called when a slot became
    free, or is wanted again."""

    def __init__(
        self,
        active: ActiveJob,
        sequence: int,
        ports: EnginePorts,
        resources: JobResources,
        queue_changed: Callable[[], None],
    ) -> None:
        self._active = active
        self._sequence = sequence
        self._ports = ports
        self._resources = resources
        self._queue_changed = queue_changed

    async def run(self) -> None:
        log = await self._resources.log(self._active)
        approval = self._approval(self._active.job)
        if approval.is_open:
            self._queue_changed()
            write_approval(log, self._active.job, approval)
            await self._freeze(log)
        await self._end_in_time()
        if (decided := self._approval(self._active.job)).decided_by:
            write_approval(log, self._active.job, decided)
            self._queue_changed()
        await self._active.wait_until(lambda job: not self._approval(job).is_open)
        await thaw(self._active, self._ports)

    async def _freeze(self, log: JobLog) -> None:
        try:
            await set_frozen(self._active.job, self._ports, frozen=True)
        except PlatformError as error:
            _log.warning("job-not-frozen", extra={"fields": {"job": self._active.job.id, "cause": str(error)}})
            log.note(f"not-frozen:{self._sequence}", 0, f"--- its processes run on while it waits: {error}")

    async def _end_in_time(self) -> None:
        """Until a user has decided, or the time is over."""
        approval = self._approval(self._active.job)
        if approval.state is ApprovalState.WAITING:
            decided = self._active.wait_until(lambda job: self._approval(job).state is not ApprovalState.WAITING)
            left = max(0.0, approval.expires_at - self._ports.clock.now())
            await until(decided, self._ports.clock.sleep(left), name=f"approval {self._active.job.id}")
        if self._approval(self._active.job).state is ApprovalState.WAITING:
            await self._active.apply(EnvironmentExpired(self._sequence))

    def _approval(self, job: Job) -> EnvironmentApproval:
        return next(one for one in job.approvals if one.sequence == self._sequence)


async def thaw(active: ActiveJob, ports: EnginePorts) -> None:
    """Continue what is frozen. What has ended meanwhile needs nothing. Raises Retryable."""
    try:
        await set_frozen(active.job, ports, frozen=False)
    except Permanent as error:
        _log.info("job-not-thawed", extra={"fields": {"job": active.job.id, "cause": str(error)}})


async def set_frozen(job: Job, ports: EnginePorts, *, frozen: bool) -> None:
    """Freeze or thaw the danubefile's process and all that it has started; no step runs beside it. Raises
    PlatformError."""
    program = job.step(COORDINATOR_SEQUENCE)
    if program is not None and program.phase in FOLLOWED and job.phase in (Phase.RUNNING, Phase.CONCLUDING):
        await freeze_step(job, program, ports, thaw=not frozen)
