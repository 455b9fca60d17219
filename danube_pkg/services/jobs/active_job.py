"""One job in memory: the only place through which its state changes, and where others wait for a change.

Every event goes through the mailbox and is decided and committed there, one at a time, by the mailbox's own task: a caller
that is cancelled while it waits (a closed connection) never leaves memory and disk with different states. Every letter is
answered, also the one that was being decided, or came, when the mailbox ended.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.events import ContainerLost, JobEvent, StepEnded
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.jobs.transitions import decide
from danube_pkg.core.logs.ports import JobLog
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP
from danube_pkg.core.reasons import Reason
from danube_pkg.core.store import JobStore
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import HIDDEN, Mutable
from danube_pkg.services.jobs.source_trees import JobSource
from danube_pkg.services.notifications.observer import JobObserver

MAILBOX_EVENTS = 1000
"""More events than one job can have open at once (steps, connections, timers); beyond it callers wait their turn."""


MAX_KEPT_OUTPUT_BYTES = 8 * 1024**2
"""Of all of a job's results: those of a handful of parallel steps until their calls are answered."""


class _Letter(Mutable):
    event: JobEvent | None
    done: Effect | None
    answer: Annotated[asyncio.Future[Job], HIDDEN]


class StepMemory(Mutable):
    """What is known of a step only while this server lives: never stored, asked for again after a restart.

    request: until the step has ended. end: what an authentic record says, until it is committed. output: the end of what the attempt with that number printed; the newest outputs of
    a job are kept, older ones are in the supervisor for as long as its container lives.
    """

    request: Annotated[StepRequest | None, HIDDEN] = None
    output: Annotated[bytes | None, HIDDEN] = None
    output_attempt: int = 0
    end: StepEnded | None = None


class ActiveJob:
    """A job that has not been closed yet. `on_decided` is called after each commit, in the mailbox's task."""

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
        self.owed: deque[Effect] = deque(owed)
        self.steps: dict[int, StepMemory] = {}
        self._kept_outputs: dict[int, int] = {}
        self._ended_containers: dict[int, ContainerLost] = {}
        self.log: JobLog | None = None
        self.log_lock = asyncio.Lock()
        self.source: JobSource | None = None
        self._store = store
        self._clock = clock
        self._on_decided = on_decided
        self._observer = observer
        self._mailbox: asyncio.Queue[_Letter] = asyncio.Queue(MAILBOX_EVENTS)
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came
        self._over = False

    def memory(self, sequence: int) -> StepMemory:
        return self.steps.setdefault(sequence, StepMemory())

    def keep_output(self, sequence: int, attempt: int, output: bytes | None) -> None:
        """The end of what an attempt printed; None where this server did not see all of it. The oldest give way."""
        memory = self.memory(sequence)
        memory.output, memory.output_attempt = output, attempt
        self._kept_outputs.pop(sequence, None)
        self._kept_outputs[sequence] = len(output or b"")
        while sum(self._kept_outputs.values()) > MAX_KEPT_OUTPUT_BYTES:
            oldest = next(iter(self._kept_outputs))
            del self._kept_outputs[oldest]
            self.memory(oldest).output = None

    def output_of(self, step: Step) -> bytes | None:
        """The end of what an ended step's last attempt printed, if it is still kept and a record says that it is whole."""
        memory = self.memory(step.sequence)
        whole = step.end is not None and step.end.output_hash and memory.output_attempt == step.attempt
        return memory.output if whole else None

    def note_ended(self, event: ContainerLost) -> None:
        """The runtime said why a container ended; whoever records its end, in whatever order, says the same."""
        self._ended_containers.setdefault(event.container, event)

    def end_of_container(self, number: int, otherwise: str) -> ContainerLost:
        """Why a container that is gone is gone; `otherwise` is the sentence where the runtime has said nothing."""
        return self._ended_containers.get(number) or ContainerLost(number, Reason.POD_LOST, otherwise)

    async def apply_lost(self, lost: ContainerLost) -> None:
        """A container's end; but a step of it whose record has arrived has ended as that says. Raises as `apply` does."""
        for step in self.job.open_steps:
            end = self.memory(step.sequence).end
            if step.container == lost.container and end is not None and end.attempt == step.attempt:
                await self.apply(end)
        await self.apply(lost)

    def step(self, sequence: int) -> Step:
        """The step, which is known to exist: steps are never removed from a job."""
        step = self.job.step(sequence)
        if step is None:
            raise KeyError(f"{self.job.label} has no step {sequence}")
        return step

    async def apply(self, event: JobEvent | None, *, done: Effect | None = None) -> Job:
        """Decide, commit, and return the new state; `done` is the performed effect whose result the event is.

        Raises what `decide` and the store raise, and Unavailable when the mailbox has ended: the job is closed, or the
        server stops.
        """
        letter = _Letter(event, done, asyncio.get_running_loop().create_future())
        await self._mailbox.put(letter)
        if self._over:
            self._refuse_rest()
        return await letter.answer

    async def run_mailbox(self) -> None:
        """The owner's task: one letter after the other until it is cancelled."""
        try:
            while True:
                await self._answer(await self._mailbox.get())
        finally:
            self._over = True
            self._refuse_rest()

    async def _answer(self, letter: _Letter) -> None:
        try:
            job = await self._take(letter)
        except Exception as error:  # noqa: BLE001 - every failure belongs to the caller, who retries or reports it
            if not letter.answer.done():
                letter.answer.set_exception(error)
        except BaseException:
            _refuse(letter)
            raise
        else:
            if not letter.answer.done():
                letter.answer.set_result(job)

    async def _take(self, letter: _Letter) -> Job:
        job, owed = (self.job, ()) if letter.event is None else decide(self.job, letter.event, self._clock.now())
        if job is self.job and letter.done is None and not owed:
            return job
        told = self._observer.follow_up_of(self.job, job) if job is not self.job else NO_FOLLOW_UP
        await self._store.save_job(job, done=letter.done, owed=owed, follow_up=told)
        self.job = job
        if letter.done is not None:
            self.owed.remove(letter.done)
        self.owed.extend(owed)
        self._observer.stored(told)
        self._on_decided(self)
        self.notify()
        return job

    def _refuse_rest(self) -> None:
        while not self._mailbox.empty():
            _refuse(self._mailbox.get_nowait())

    def notify(self) -> None:
        """Wake everybody who waits for something of this job."""
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


def _refuse(letter: _Letter) -> None:
    """Whether its event was committed is not known; the one who asks again will see."""
    if not letter.answer.done():
        letter.answer.set_exception(
            Unavailable(
                "job-not-active", "the job is closed, or the server is stopping", hint="look at it: danube jobs"
            )
        )
