"""A step: one command that a job runs, over all its attempts."""

import signal as signals
from enum import StrEnum

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import Record, replace

MAX_STEPS = 2000
"""A matrix of 40 × 50; the supervisor keeps the record of each in memory."""

MAX_RETRIES = 10


class StepPhase(StrEnum):
    """WAITING: no container took it yet. PLACED: handed to one, counts as started. STARTED: its supervisor said so."""

    WAITING = "waiting"
    PLACED = "placed"
    STARTED = "started"
    ENDED = "ended"


class Step(Record):
    """`sequence` is the coordinator's call number; `container` the number of the one instance that has this attempt, and
    `memory_kills` what that instance had seen before: more at its end means that this attempt was short of memory."""

    id: str
    sequence: int
    name: str
    image: str
    check: bool = True
    retries: int = 0
    timeout_seconds: int = 0
    attempt: int = 1
    phase: StepPhase = StepPhase.WAITING
    status: Status = Status.PENDING
    container: int | None = None
    memory_kills: int = 0
    asked_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    end: StepEnd | None = None
    log_begin: int = 0
    log_end: int = 0

    @property
    def is_red(self) -> bool:
        """It makes its job red: checked, ended, and not with an authentic success."""
        return self.check and self.phase is StepPhase.ENDED and self.status is not Status.SUCCESS

    def ended(self, end: StepEnd, now: float) -> "Step":
        return replace(self, phase=StepPhase.ENDED, status=end.status, end=end, finished_at=now)

    def next_attempt(self) -> "Step":
        return replace(self, attempt=self.attempt + 1, phase=StepPhase.WAITING, status=Status.PENDING, container=None)


def describe_end(end: StepEnd) -> str:
    """How an attempt ended, as the end of a sentence: "failed with exit code 3"."""
    if end.status is Status.SUCCESS:
        return "succeeded"
    if end.message:
        return end.message
    if end.signal is not None:
        return f"was killed by {_signal_name(end.signal)}"
    if end.exit_code is not None:
        return f"failed with exit code {end.exit_code}"
    return f"ended: {end.reason or end.status}"


def describe_failure(step: Step) -> tuple[Status, Reason, str]:
    """The status, reason and sentence of a job that a red step ended."""
    end = step.end or StepEnd(Status.FAILURE, Reason.INFRASTRUCTURE_LOST)
    tries = f" (attempt {step.attempt} of {step.retries + 1})" if step.retries else ""
    message = f"step {step.sequence} {step.name!r} {describe_end(end)}{tries}"
    if end.status is Status.TIMEOUT:
        return Status.TIMEOUT, Reason.STEP_TIMEOUT, message
    return Status.FAILURE, end.reason or Reason.STEP_FAILED, message


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
