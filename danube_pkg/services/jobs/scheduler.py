"""Giving places: whenever the queue or its limits may have changed, jobs that became needless end and those whose turn it is start."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import PlatformError, Retryable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.concurrency import superseded
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import (
    QueuePosition,
    Turns,
    choose,
    why_waiting,
)
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.draining import Draining

RETRY_CAP_SECONDS = 5.0

_log = logging.getLogger("danube.queue")


class Scheduler:
    """live: the engine's jobs, a view that changes with them. new_id: makes the id of a job's pod.

    No job starts while the server is draining.
    """

    def __init__(
        self,
        live: Mapping[str, ActiveJob],
        applied: AppliedConfiguration,
        draining: Draining,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._live = live
        self._applied = applied
        self._draining = draining
        self._clock = clock
        self._new_id = new_id
        self._changed = asyncio.Event()
        applied.listen(self.wake)
        draining.listen(self.wake)
        self._turns = Turns()

    def wake(self) -> None:
        """Something may have changed."""
        self._changed.set()

    def waiting(self, job: Job) -> QueuePosition:
        """What a waiting job waits for."""
        return why_waiting(job, self._jobs(), self._applied.config.max_concurrent_jobs, self._turns)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for job_id, newer in superseded(self._jobs()):
                await self._supersede(job_id, newer)
            if self._draining.active:
                continue
            choice = choose(self._jobs(), self._applied.config.max_concurrent_jobs, self._turns)
            self._turns = choice.turns
            for job_id in choice.start:
                if (live := self._live.get(job_id)) is not None:
                    await self._admit(live)

    def _jobs(self) -> list[Job]:
        return [live.job for live in self._live.values()]

    async def _supersede(self, job_id: str, newer: str) -> None:
        """What cannot be ended now is looked at again with the next change."""
        live = self._live.get(job_id)
        if live is None:
            return
        try:
            await live.apply(ev.CancelAsked(f"job {newer}", Reason.SUPERSEDED))
        except PlatformError as error:
            _log.warning("job-not-superseded", extra={"fields": {"job": job_id, "cause": str(error)}})

    async def _admit(self, live: ActiveJob) -> None:
        backoff = Backoff(0.1, RETRY_CAP_SECONDS, random.random)
        while live.job.phase is Phase.QUEUED:
            try:
                await live.apply(ev.Admitted(self._new_id()))
            except Retryable as error:
                _log.warning("admission-retried", extra={"fields": {"job": live.job.id, "cause": str(error)}})
                await self._clock.sleep(backoff.next())
