"""Scheduler loop: on each change of the queue or its limits, cancel superseded jobs and admit the next ones."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import Permanent, PlatformError, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.jobs.concurrency import superseded_jobs
from danube_pkg.core.jobs.events import Admitted, CancelRequested, EnvironmentGranted
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import (
    Obstacle,
    QueuePosition,
    StartHistory,
    choose_next,
    choose_returning,
    queue_position,
    slots_in_use,
)
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever, until_done
from danube_pkg.kit.records import replace
from danube_pkg.services.health.room import DiskRoom
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.draining import Draining

PAUSES = Pauses(0.1, 5.0)
"""Short: every waiting job waits for it."""

_log = logging.getLogger("danube.queue")


HELD_SECONDS = 10.0
"""Between two checks whether what holds the queue is over."""


class Scheduler:
    """No job starts while the server is draining, or while the disk has no room.

    active: the engine's jobs, a view that changes with them. new_id: makes the id of a job's pod.
    """

    def __init__(
        self,
        active: Mapping[str, ActiveJob],
        applied: AppliedConfiguration,
        draining: Draining,
        timing: Timing,
        new_id: Callable[[], str],
        room: DiskRoom,
    ) -> None:
        self._room = room
        self._active = active
        self._applied = applied
        self._draining = draining
        self._timing = timing
        self._new_id = new_id
        self._changed = asyncio.Event()
        applied.listen(self.wake)
        draining.listen(self.wake)
        self._history = StartHistory()
        self._lent: set[str] = set()
        self._returning: dict[str, asyncio.Future[None]] = {}
        self._held = ""
        """The reference of the condition that holds the queue."""

    def wake(self) -> None:
        """Something may have changed."""
        self._changed.set()

    @property
    def is_held(self) -> bool:
        """Whether waiting jobs are not started because the disk has no room."""
        return bool(self._held)

    def waiting(self, job: Job) -> QueuePosition:
        """What a waiting job waits for."""
        most = self._applied.config.max_concurrent_jobs
        found = queue_position(job, self._jobs(), most, self._history, self._lent)
        held = self._room.obstacle()
        if held is None or found.obstacle in (Obstacle.COMMIT, Obstacle.APPROVAL):
            return found
        return replace(found, obstacle=Obstacle.DISK, held_by=held.what, hint=held.hint)

    # --- slots of jobs that wait for something outside

    def lend(self, job_id: str) -> None:
        """Others may start in the job's slot until `reclaim`. At most as many are lent as there are slots, since each
        of these jobs has a pod."""
        if len(self._lent) < self._applied.config.max_concurrent_jobs:
            self._lent.add(job_id)
            self.wake()

    def is_lent(self, job_id: str) -> bool:
        return job_id in self._lent

    async def reclaim(self, job_id: str) -> None:
        """Wait for a slot, before every job that has not started; at once for a job that has one."""
        if job_id in self._lent:
            returned = self._returning.setdefault(job_id, asyncio.get_running_loop().create_future())
            self.wake()
            await asyncio.shield(returned)

    def take_back(self, job_id: str) -> None:
        """The job has its slot again, also where there is one too many then: it is about to end."""
        self._lent.discard(job_id)
        if (returned := self._returning.pop(job_id, None)) is not None and not returned.done():
            returned.set_result(None)

    def _return_slots(self) -> None:
        for job_id in self._lent - self._active.keys():
            self.take_back(job_id)
        free = self._applied.config.max_concurrent_jobs - slots_in_use(self._jobs(), self._lent)
        for job_id in list(self._returning)[: max(0, free)]:
            self.take_back(job_id)

    async def run(self) -> None:
        """A round after each change, until cancelled."""
        streak = Streak("scheduler", self._timing, PAUSES, log=_log)
        await for_ever(self._round, streak, self._timing, expected=(Permanent, Retryable), wake=self._changed)

    async def _round(self) -> float | None:
        for job_id, newer in superseded_jobs(self._jobs()):
            await self._supersede(job_id, newer)
        self._return_slots()
        most = self._applied.config.max_concurrent_jobs
        for job_id, sequence in choose_returning(self._jobs(), most, self._lent):
            if (active := self._active.get(job_id)) is not None:
                await self._apply(active, EnvironmentGranted(sequence))
        if self._draining.active:
            return None
        if (held := self._room.obstacle()) is not None and any(one.phase is Phase.QUEUED for one in self._jobs()):
            self._note_hold(held)
            return HELD_SECONDS
        self._note_hold(None)
        choice = choose_next(self._jobs(), most, self._history, self._lent)
        self._history = choice.history
        for job_id in choice.start:
            if (active := self._active.get(job_id)) is not None:
                await self._admit(active)
        return None

    def _note_hold(self, held: Condition | None) -> None:
        """Log the beginning and the end of a hold, not each check."""
        reference = held.reference if held is not None else ""
        if reference != self._held:
            self._held = reference
            if held is not None:
                _log.error("queue-held", extra={"fields": {"cause": held.what, "hint": held.hint}})
            else:
                _log.info("queue-resumed", extra={"fields": {}})

    def _jobs(self) -> list[Job]:
        return [active.job for active in self._active.values()]

    async def _supersede(self, job_id: str, newer: str) -> None:
        if (active := self._active.get(job_id)) is not None:
            await self._apply(active, CancelRequested(f"job {newer}", Reason.SUPERSEDED))

    async def _apply(self, active: ActiveJob, event: CancelRequested | EnvironmentGranted) -> None:
        """A failure does not delay the queue: the next round tries again."""
        try:
            await active.apply(event)
        except PlatformError as error:
            fields = {"job": active.job.id, "event": type(event).__name__, "cause": str(error)}
            _log.warning("job-not-changed", extra={"fields": fields})

    async def _admit(self, active: ActiveJob) -> None:
        """Returns when the job is admitted, or does not wait any more."""

        async def admit() -> None:
            if active.job.phase is Phase.QUEUED:
                await active.apply(Admitted(self._new_id()))

        streak = Streak("admission", self._timing, PAUSES, log=_log, fields={"job": active.job.id})
        await until_done(admit, streak, self._timing, expected=(Retryable,))
