"""What a simulated job does, as data: stages of steps, secrets and artifacts, and the end that follows."""

import base64
import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from tests.fakes.processes import (
    Act,
    Behaviour,
    EndContainer,
    Exit,
    Hang,
    IgnoreTerm,
    OutOfMemory,
    Print,
    PrintVariable,
    RemovePod,
    Signal,
    Wait,
    attempts,
    plays,
)

IMAGES = (HOST_IMAGE, "node:20")
End = tuple[Status, Reason]
GREEN: End = (Status.SUCCESS, Reason.NONE)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One call of `step.run`. `tries`: the acts of each attempt. `secrets`: keys that it gets as variables of that
    name."""

    name: str
    tries: tuple[tuple[Act, ...], ...]
    image: str = ""
    retries: int = 0
    timeout_seconds: int = 0
    check: bool = True
    secrets: tuple[str, ...] = ()

    def behaviour(self) -> Behaviour:
        return attempts(*(plays(*acts) for acts in self.tries))

    def end(self) -> tuple[End, int]:
        """How its last attempt ends without faults, and the number of that attempt."""
        for attempt in range(1, self.retries + 2):
            end = _end_of(self.tries[min(attempt, len(self.tries)) - 1], self.timeout_seconds)
            if end == GREEN or attempt == self.retries + 1:
                return end, attempt
        raise AssertionError("a step has an attempt")

    @property
    def removes_pod(self) -> bool:
        return any(isinstance(act, RemovePod) for acts in self.tries for act in acts)


@dataclass(frozen=True, slots=True)
class Parallel:
    """Steps that run side by side; the stage ends when all have ended."""

    steps: tuple[StepPlan, ...]


@dataclass(frozen=True, slots=True)
class ReadSecret:
    """`secrets.get`."""

    key: str


@dataclass(frozen=True, slots=True)
class Upload:
    """`artifacts.upload` of a single file."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PrintText:
    """The danubefile itself prints text; `{KEY}` stands for a secret that was read."""

    text: str


Stage = Parallel | ReadSecret | Upload | PrintText


@dataclass(frozen=True, slots=True)
class JobPlan:
    """`ending`: returns, raises, leaves (the process exits without Finish), leaves-open (a step is not waited for)."""

    name: str
    stages: tuple[Stage, ...]
    ending: str = "returns"
    max_duration_seconds: int = 600

    def steps(self) -> Iterator[tuple[int, StepPlan]]:
        """Each step with its sequence number, in the order in which the danubefile asks for them."""
        sequence = 0
        for stage in self.stages:
            for step in stage.steps if isinstance(stage, Parallel) else ():
                sequence += 1
                yield sequence, step

    def command(self, sequence: int) -> str:
        return f"{self.name} step {sequence}"

    def end(self) -> End:
        """How the job ends without faults."""
        unhandled: End | None = None
        for stage in self.stages:
            ends = [(step, step.end()[0]) for step in (stage.steps if isinstance(stage, Parallel) else ())]
            if any(step.removes_pod for step, _ in ends):
                return Status.FAILURE, Reason.POD_LOST
            if any(end == HANGS for _, end in ends):
                return Status.TIMEOUT, Reason.JOB_TIMEOUT
            red = [end for step, end in ends if step.check and end != GREEN]
            if red:
                unhandled = red[0]
                break
        if unhandled is not None:
            return unhandled
        return {
            "returns": GREEN,
            "raises": (Status.FAILURE, Reason.SCRIPT_ERROR),
            "leaves": (Status.FAILURE, Reason.SCRIPT_EXITED),
            "leaves-open": (Status.FAILURE, Reason.STEP_OPEN),
        }[self.ending]


HANGS: End = (Status.RUNNING, Reason.NONE)


def _end_of(acts: Sequence[Act], timeout_seconds: int) -> End:
    for act in acts:
        match act:
            case Exit(code) if code:
                return Status.FAILURE, Reason.STEP_FAILED
            case Exit():
                return GREEN
            case Signal():
                return Status.FAILURE, Reason.STEP_FAILED
            case OutOfMemory():
                return Status.FAILURE, Reason.OUT_OF_MEMORY
            case EndContainer(reason, _):
                return Status.FAILURE, reason
            case Hang():
                return (Status.TIMEOUT, Reason.STEP_TIMEOUT) if timeout_seconds else HANGS
    return GREEN


# --- from a seed


@dataclass(slots=True)
class JobGenerator:
    """Generates random jobs. `secrets`: the values by key that jobs may read and print."""

    rng: random.Random
    secrets: dict[str, bytes]
    with_disasters: bool = True
    _count: int = field(default=0)

    def job(self, name: str) -> JobPlan:
        rng = self.rng
        stages: list[Stage] = []
        known: list[str] = []
        for _ in range(rng.randrange(2, 6)):
            while len(known) < len(self.secrets) and rng.random() < 0.6:
                known.append(rng.choice([key for key in self.secrets if key not in known]))
                stages.append(ReadSecret(known[-1]))
            if known and rng.random() < 0.2:
                stages.append(ReadSecret(rng.choice(known)))  # perhaps rotated meanwhile
            stages.append(self._stage(tuple(known)))
        disaster = self.with_disasters and rng.random() < 0.3
        if disaster:
            stages.insert(rng.randrange(len(stages) + 1), Parallel((self._disaster(),)))
        ending = rng.choices(["returns", "raises", "leaves", "leaves-open"], [12, 1, 1, 1])[0]
        hangs = JobPlan(name, tuple(stages)).end() == (Status.TIMEOUT, Reason.JOB_TIMEOUT)
        return JobPlan(name, tuple(stages), ending, 90 if hangs else 1800)

    def _stage(self, known: Sequence[str]) -> Stage:
        rng = self.rng
        kind = rng.random()
        if kind < 0.15:
            return Upload(self._name("artifact"), rng.randbytes(rng.randrange(0, 2000)))
        if kind < 0.3:
            keys = " ".join(f"{{{key}}}" for key in known)
            return PrintText(f"the danubefile says {keys}\n" * rng.randrange(1, 4))
        width = rng.choices([1, 2, 3], [3, 1, 1])[0]
        return Parallel(tuple(self._step(known) for _ in range(width)))

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def _step(self, known: Sequence[str]) -> StepPlan:
        rng = self.rng
        fails = rng.random() < 0.15
        retries = rng.choice([0, 0, 1, 2])
        check = rng.random() < 0.85
        tries = [self._acts(known, green=False) for _ in range(retries)] if retries and rng.random() < 0.6 else []
        tries.append(self._acts(known, green=not fails))
        return StepPlan(
            self._name("step"),
            tuple(tries),
            image=rng.choice(["", "", *IMAGES]),
            retries=retries,
            check=check,
            secrets=tuple(known),
        )

    def _acts(self, known: Sequence[str], *, green: bool) -> tuple[Act, ...]:
        rng = self.rng
        acts: list[Act] = []
        for _ in range(rng.randrange(0, 12)):
            acts += self._output(known)
        if rng.random() < 0.2:
            acts.append(Wait(rng.uniform(0, 40)))
        if not green:
            bad: list[Act] = [Exit(rng.randrange(1, 256)), Signal(signal.SIGSEGV)]
            acts.append(rng.choice(bad))
        return tuple(acts)

    def _output(self, known: Sequence[str]) -> Iterator[Act]:
        """Lines, half lines, secrets in pieces and in other forms, with and without pauses between."""
        rng = self.rng
        kind = rng.random()
        if known and kind < 0.35:
            key = rng.choice(known)
            value = self.secrets[key]
            if rng.random() < 0.5:
                yield PrintVariable(key, rng.randrange(len(value) + 1), rng.choice([0.0, 0.01, 2.0]))
            else:
                yield from self._in_pieces(rng.choice([base64.b64encode(value), value.hex().encode(), value * 2]))
        elif kind < 0.4:
            yield Print(b"".join(b"much to say %d\n" % number for number in range(rng.randrange(200))))
        elif kind < 0.8:
            yield Print(b"line %d of %d\n" % (rng.randrange(1000), rng.randrange(1000)))
        else:
            yield Print(rng.choice([b"no end ", b"\n", b"\xff\x00binary\r\n", b"*** stars ***\n"]))
        if rng.random() < 0.4:
            yield Wait(rng.choice([0.0, 0.001, 0.02, 0.5, 3.0]))

    def _in_pieces(self, text: bytes) -> Iterator[Act]:
        while text:
            size = self.rng.randrange(1, len(text) + 1)
            yield Print(text[:size])
            text = text[size:]
            if self.rng.random() < 0.5:
                yield Wait(self.rng.choice([0.0, 0.004, 0.3]))

    def _disaster(self) -> StepPlan:
        """A step that is ended from outside."""
        rng = self.rng
        acts: list[Act] = [Print(b"before the disaster\n"), Wait(rng.uniform(0, 5))]
        timeout = 0
        match rng.randrange(6):
            case 0:
                acts.append(OutOfMemory())
            case 1:
                acts.append(EndContainer(Reason.OUT_OF_MEMORY, "the kernel ended its container for memory"))
            case 2:
                acts.append(EndContainer(Reason.WORKSPACE_FULL, "its workspace is full"))
            case 3:
                acts.append(RemovePod())
            case 4:
                acts += [IgnoreTerm()] if rng.random() < 0.5 else []
                acts.append(Hang())
                timeout = 7
            case _:
                acts.append(Hang())
        return StepPlan(self._name("disaster"), (tuple(acts),), timeout_seconds=timeout, check=rng.random() < 0.8)
