"""Scripted commands: what a command does on a fake machine, as a coroutine on the event loop's clock.

    machine.commands["make test"] = plays(Print(b"one\\n"), Wait(3), Exit(2))

A command that needs more than a list of acts is a coroutine that takes its `Process` and returns an exit code.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from danube_pkg.core.reasons import Reason


class Killed(Exception):
    """Raised by a process that a signal ends."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class ProcessContainer(Protocol):
    """The container of a process, and what the process can cause in it."""

    @property
    def pod_id(self) -> str: ...
    @property
    def job_id(self) -> str: ...
    @property
    def token(self) -> str: ...
    def kill_for_memory(self) -> None: ...
    def end(self, reason: Reason, message: str) -> None: ...
    def remove_pod(self) -> None: ...


@dataclass(slots=True)
class Process:
    """A running command. `write` prints, and waits while the output is not read; `read` returns standard input."""

    command: str
    attempt: int
    environment: Mapping[str, str] = field(repr=False)
    container: ProcessContainer
    write: Callable[[bytes], Awaitable[None]]
    read: Callable[[], Awaitable[bytes]]
    ignores_term: bool = False
    ignores_kill: bool = False


Behaviour = Callable[[Process], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Print:
    """Writes these bytes to standard output, in one write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PrintVariable:
    """Prints an environment variable in two writes, divided at `cut`, with a pause between them."""

    name: str
    cut: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Does not exit by itself."""


@dataclass(frozen=True, slots=True)
class IgnoreTerm:
    """From now on only SIGKILL ends the process."""


@dataclass(frozen=True, slots=True)
class IgnoreKill:
    """From now on no signal of the supervisor ends the process: only the end of its container does."""


@dataclass(frozen=True, slots=True)
class Exit:
    """Exits with a code."""

    code: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Ends by a signal."""

    number: int


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel kills this process for memory; its container keeps running."""


@dataclass(frozen=True, slots=True)
class EndContainer:
    """Ends the whole container, and with it the supervisor and its records."""

    reason: Reason = Reason.POD_LOST
    message: str = "its container ended: something outside Danube killed it"


@dataclass(frozen=True, slots=True)
class RemovePod:
    """Removes the whole pod without the server's knowledge."""


Act = (
    Print
    | PrintVariable
    | Wait
    | Hang
    | IgnoreTerm
    | IgnoreKill
    | Exit
    | Signal
    | OutOfMemory
    | EndContainer
    | RemovePod
)


def plays(*acts: Act) -> Behaviour:
    """A command that performs these acts and then exits with 0."""

    async def play(process: Process) -> int:
        for act in acts:
            if isinstance(act, Exit):
                return act.code
            await _perform(act, process)
        return 0

    return play


def attempts(*each: Behaviour) -> Behaviour:
    """A command that behaves differently at each attempt; further attempts repeat the last behaviour."""

    async def play(process: Process) -> int:
        return await each[min(process.attempt, len(each)) - 1](process)

    return play


async def copy_input(process: Process) -> int:
    """Prints its standard input, as `cat` does."""
    while data := await process.read():
        await process.write(data)
    return 0


async def _perform(act: Act, process: Process) -> None:
    match act:
        case Print(data):
            await process.write(data)
        case PrintVariable(name, cut, seconds):
            value = process.environment[name].encode()
            await process.write(value[:cut])
            await asyncio.sleep(seconds)
            await process.write(value[cut:])
        case Wait(seconds):
            await asyncio.sleep(seconds)
        case IgnoreTerm():
            process.ignores_term = True
        case IgnoreKill():
            process.ignores_kill = True
        case Signal(number):
            raise Killed(number)
        case OutOfMemory():
            process.container.kill_for_memory()
            raise Killed(signal.SIGKILL)
        case EndContainer(reason, message):
            process.container.end(reason, message)
            await asyncio.Event().wait()
        case RemovePod():
            process.container.remove_pod()
            await asyncio.Event().wait()
        case Hang() | Exit():
            await asyncio.Event().wait()


class Command:
    """A scripted command that runs. on_end: called once with exit code or signal, unless the command is dropped."""

    def __init__(
        self,
        behaviour: Behaviour,
        process: Process,
        on_end: Callable[[int | None, int | None], None],
        on_defect: Callable[[BaseException], None],
    ) -> None:
        self._process = process
        self._on_end = on_end
        self._on_defect = on_defect
        self._signal = 0
        self._dropped = False
        self._task = asyncio.ensure_future(behaviour(process))
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Future[int]") -> None:
        """Called also for a task that was cancelled before it started."""
        if self._dropped:
            return
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            self._on_end(None, self._signal or signal.SIGKILL)
        elif isinstance(error, Killed):
            self._on_end(None, error.number)
        elif error is not None:
            self._on_defect(error)
            self._on_end(70, None)
        else:
            self._on_end(task.result() & 0xFF, None)

    def send(self, number: int) -> None:
        if self._process.ignores_kill:
            return
        if number == signal.SIGKILL or not self._process.ignores_term:
            self._signal = number
            self._task.cancel()

    def drop(self) -> None:
        """Its container has ended: stop the command without a call of `on_end`."""
        self._dropped = True
        self._task.cancel()
