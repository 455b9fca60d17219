"""What a job waits for outside of its pod: the log of the job and `danube explain` say what and why, and no such wait
lasts for ever.

A wait begins with the first failure, or with a call that takes long, and ends with a success. While it lasts the call
is repeated. A disk that cannot be written is waited for until the job's deadline; anything else for GIVE_UP_SECONDS.
After LEND_SECONDS other jobs start in the slot of a job that runs nothing meanwhile; it continues with the next slot
that is free. That wait ends with the job's deadline.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from danube_pkg.core.errors import Permanent, PlatformError, Retryable, StorageUnwritable
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.loops import Pauses, Timing
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.log_lines import write_wait

NOTICE_SECONDS = 5.0
"""A shorter wait is not worth a line."""

GIVE_UP_SECONDS = 300.0
"""A restart of a forge or a registry, or a change of a certificate, takes less; longer is an outage, and jobs that wait
through it keep others from starting."""

LEND_SECONDS = 10.0
"""After so long others may start in the job's slot. Shorter waits are those of a lost packet or a restart."""

PAUSES = Pauses(0.1, 15.0)

SOURCE = "the source"
EGRESS = "the egress proxy"
POD = "the pod"
SLOT = "a slot of max_concurrent_jobs"

Answer = TypeVar("Answer")
LogOf = Callable[[ActiveJob], Awaitable[JobLog]]

_log = logging.getLogger("danube.jobs")


class Slots(Protocol):
    """Lends the slots of running jobs: see `Scheduler`."""

    def lend(self, job_id: str) -> None: ...
    def is_lent(self, job_id: str) -> bool: ...
    async def reclaim(self, job_id: str) -> None: ...
    def take_back(self, job_id: str) -> None: ...


class Waits:
    """Waits on behalf of all jobs. log_of: opens a job's log. slots: where a job that waits does not keep its own."""

    def __init__(self, timing: Timing, log_of: LogOf, slots: Slots | None = None) -> None:
        self._timing = timing
        self._log_of = log_of
        self._slots = slots

    async def until_done(
        self, active: ActiveJob, what: str, work: Callable[[], Awaitable[Answer]], reason: Reason
    ) -> Answer:
        """The answer of `work`, which is repeated after a Retryable error while the job is running.

        Raises Permanent with that reason as its reference after GIVE_UP_SECONDS, and the error of a job that is ending.
        """
        backoff = self.backoff()
        while True:
            try:
                async with self.watched(active, what):
                    answer = await work()
            except Retryable as error:
                await self.failed(active, what, error, reason)
                if active.job.phase is not Phase.RUNNING:
                    raise
            else:
                await self.over(active, what)
                return answer
            await self._timing.clock.sleep(backoff.next())

    def backoff(self) -> Backoff:
        return Backoff(PAUSES.first, PAUSES.cap, self._timing.random)

    @asynccontextmanager
    async def watched(self, active: ActiveJob, what: str) -> AsyncIterator[None]:
        """Around a call: one that takes longer than NOTICE_SECONDS is a wait."""
        log = await self._log_of(active)

        def notice() -> None:
            active.waits.begin(what, NOTICE_SECONDS)
            with contextlib.suppress(StorageUnwritable):
                write_wait(log, what, "there is no answer yet")

        timer = asyncio.get_running_loop().call_later(NOTICE_SECONDS, notice)
        try:
            yield
        finally:
            timer.cancel()

    async def failed(self, active: ActiveJob, what: str, error: Retryable, reason: Reason) -> None:
        """The wait begins, or continues. Raises Permanent where it has lasted for too long."""
        cause = str(error)
        seconds = active.waits.failed(what, cause)
        fields = {"job": active.job.id, "what": what, "cause": cause}
        _log.log(logging.DEBUG if seconds else logging.WARNING, "job-waits", extra={"fields": fields})
        if seconds >= NOTICE_SECONDS and active.waits.is_new(what, cause):
            await self._write(active, what, cause)
        if self._slots is not None and seconds >= LEND_SECONDS and _needs_no_slot(active.job):
            self._slots.lend(active.job.id)
        if seconds >= GIVE_UP_SECONDS and not isinstance(error, StorageUnwritable):
            active.waits.end(what)
            if self._slots is not None:
                self._slots.take_back(active.job.id)
            raise Permanent(
                reason, f"{what} was not available for {seconds:.0f} s", cause=cause, hint=error.hint
            ) from error

    async def over(self, active: ActiveJob, what: str) -> None:
        """The call has succeeded."""
        seconds = active.waits.end(what)
        if seconds >= NOTICE_SECONDS:
            await self._write(active, what, f"available after {seconds:.0f} s")
        if self._slots is not None and self._slots.is_lent(active.job.id):
            active.waits.begin(SLOT)
            await self._write(active, SLOT, f"other jobs started while it waited for {what}")
            ending = active.wait_until(lambda job: job.phase is not Phase.RUNNING)
            await until(ending, self._slots.reclaim(active.job.id), name=f"reclaim {active.job.id}")
            active.waits.end(SLOT)

    async def _write(self, active: ActiveJob, what: str, text: str) -> None:
        """A log that cannot be written must not be another failure; `danube explain` has the text too."""
        with contextlib.suppress(PlatformError):
            write_wait(await self._log_of(active), what, text)


def _needs_no_slot(job: Job) -> bool:
    """Whether only its coordinator runs, which waits."""
    at_work = (StepPhase.PLACED, StepPhase.STARTED)
    return job.phase is Phase.RUNNING and not any(
        step.phase in at_work and step.sequence != COORDINATOR_SEQUENCE for step in job.steps
    )
