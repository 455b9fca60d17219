"""One job in memory: the only place through which its state changes, and where others wait for a change.

Every event goes through the mailbox, where it is decided and stored, one at a time, by the mailbox's own task: a caller
that is cancelled meanwhile (a closed connection) never leaves memory and disk with different states. What a killed
server would find again (`core.jobs.transitions.MADE_AGAIN`) is stored with the next change, or after a moment without
one: a commit waits for the disk.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.events import ContainerLost, JobEvent, StepEnd
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.jobs.transitions import decide, may_be_stored_later
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP
from danube_pkg.core.reasons import Reason
from danube_pkg.core.store import JobStore
from danube_pkg.kit.clock import Clock
from danube_pkg.services.jobs.job_waits import JobWaits
from danube_pkg.services.jobs.mailbox import Mailbox
from danube_pkg.services.jobs.source_trees import JobSource
from danube_pkg.services.jobs.step_memory import StepMemory
from danube_pkg.services.notifications.observer import JobObserver


class Capture(Protocol):
    """Waits while a step runs, to keep what it has changed."""

    async def keep(self, step: Step, end: StepEnd, output: bytes | None) -> str:
        """Keep it as a snapshot, unless something is in the way; the log says so. output: the end of what the step
        printed, None where it is not known. Returns the SHA-256 of the snapshot, "" for none. Raises nothing."""
        ...

    async def close(self) -> None:
        """Keep nothing. Idempotent."""
        ...


class ActiveJob:
    """A job that has not been closed yet. on_decided: called after each commit, in the mailbox's task."""

    def __init__(
        self,
        job: Job,
        owed: Sequence[Effect],
        store: JobStore,
        clock: Clock,
        on_decided: Callable[["ActiveJob"], None],
        observer: JobObserver,
    ) -> None:
        self.job = job
        self.steps = StepMemory()
        self.waits = JobWaits(clock)
        self._is_behind = False
        """Whether the store has an older state."""
        self.mailbox = Mailbox(self._handle, lambda: self._is_behind)
        self.id_tokens: list[bytes] = []
        """Those that this server has issued to the job: its log masks them as long as it is open."""
        self.placing = asyncio.Lock()
        """Held while a step with a snapshot is placed: a repeated call waits for the one before."""
        self.captures: dict[int, Capture] = {}
        """Those of running steps with a snapshot, by their sequences."""
        self.repeated: Job | None = None
        """The job whose failed steps this one repeats, once it was read."""
        self.restores_begun = self.restores_ended = 0
        """Restores of caches, which change files of containers."""
        self._owed: deque[Effect] = deque(owed)
        self._ended_containers: dict[int, ContainerLost] = {}
        self._log: JobLog | None = None
        self._log_lock = asyncio.Lock()
        self._source: JobSource | None = None
        self.source_period: tuple[float, float] | None = None
        """When its source tree was prepared, in Unix seconds; None before, and after a restart."""
        self._store = store
        self._clock = clock
        self._on_decided = on_decided
        self._observer = observer
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came

    # --- its state

    async def apply(self, event: JobEvent | None, *, done: Effect | None = None) -> Job:
        """Decide, store, and return the new state. event: None to store what was decided and is not stored yet. done:
        the effect that was performed, and whose result the event is.

        Raises what `decide` and the store raise, and Unavailable when the job is closed or the server stops.
        """
        return await self.mailbox.post(event, done)

    async def _handle(self, event: JobEvent | None, done: Effect | None) -> Job:
        job, owed = (self.job, ()) if event is None else decide(self.job, event, self._clock.now())
        if job is self.job and done is None and not owed and (event is not None or not self._is_behind):
            return job
        follow_up = self._observer.follow_up_of(self.job, job) if job is not self.job else NO_FOLLOW_UP
        owes_nothing = done is None and not owed and follow_up == NO_FOLLOW_UP
        is_later = owes_nothing and event is not None and may_be_stored_later(self.job, event)
        if not is_later:
            await self._store.save_job(job, done=done, owed=owed, follow_up=follow_up)
        self._is_behind = is_later
        self.job = job
        if done is not None:
            self._owed.remove(done)
        self._owed.extend(owed)
        self._observer.stored(follow_up)
        self._on_decided(self)
        self.notify()
        return job

    @property
    def owed(self) -> tuple[Effect, ...]:
        """Effects that are not done, in the order in which they are performed."""
        return tuple(self._owed)

    async def wait_for_effect(self) -> Effect:
        """The effect to perform next."""
        await self.wait_until(lambda job: bool(self._owed))
        return self._owed[0]

    def step(self, sequence: int) -> Step:
        """The step, which is known to exist: steps are never removed from a job."""
        step = self.job.step(sequence)
        if step is None:
            raise KeyError(f"{self.job.label} has no step {sequence}")
        return step

    # --- its containers

    def note_ended(self, event: ContainerLost) -> None:
        """The runtime reported why a container ended; the first report counts."""
        self._ended_containers.setdefault(event.container, event)

    def end_of_container(self, number: int, otherwise: str) -> ContainerLost:
        """Why a container has ended. otherwise: the message where the runtime has not reported it."""
        return self._ended_containers.get(number) or ContainerLost(number, Reason.POD_LOST, otherwise)

    async def apply_lost(self, lost: ContainerLost) -> None:
        """A container's end; first the ends of those of its steps whose records have arrived. Raises as `apply`
        does."""
        for step in self.job.open_steps:
            end = self.steps.end_of(step.sequence, step.attempt)
            if step.container == lost.container and end is not None:
                await self.apply(end)
        await self.apply(lost)

    # --- its log and its source

    @property
    def has_log(self) -> bool:
        return self._log is not None

    async def log_opened_by(self, open_log: Callable[[], Awaitable[JobLog]]) -> JobLog:
        """The job's log, opened with the first call; those who wait for it are woken."""
        async with self._log_lock:
            if self._log is None:
                self._log = await open_log()
                self.notify()
            return self._log

    def source_made_by(self, make_source: Callable[[], JobSource]) -> JobSource:
        """The job's source tree, made with the first call."""
        if self._source is None:
            self._source = make_source()
        return self._source

    # --- waiting

    @property
    def waiters(self) -> int:
        """How many tasks wait for a change."""
        return len(self._waiting)

    def notify(self) -> None:
        """Wake every task that waits for a change of this job."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait_until(self, condition: Callable[[Job], bool]) -> Job:
        """The first state that fulfils the condition, checked now and after each change."""
        while not condition(self.job):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[future] = None
            try:
                await future
            finally:
                self._waiting.pop(future, None)
        return self.job

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Job]]:
        """The present state, then the newest after each change; a slow reader skips states, never the last one."""
        yield self._states()

    async def _states(self) -> AsyncIterator[Job]:
        seen = self.job
        yield seen
        while seen.phase is not Phase.CLOSED:
            seen = await self._wait_for_other_than(seen)
            yield seen

    async def _wait_for_other_than(self, seen: Job) -> Job:
        return await self.wait_until(lambda job: job is not seen)
