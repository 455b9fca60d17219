"""A step: one command that a job runs, over all its attempts."""

from enum import StrEnum

from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import Record, replace
from danube_pkg.kit.signals import signal_name

MAX_STEPS = 2000
"""Enough for a matrix of 40 × 50. The supervisor keeps the record of each in memory."""

MAX_RETRIES = 10

MAX_RETRY_DELAY_SECONDS = 3600
"""A service that needs longer to come back is an outage; the pause counts for the job's deadline."""

MAX_RETRY_ON = 20
"""Exit codes and reasons of one step."""

RETRY_REASONS = (
    Reason.STEP_FAILED,
    Reason.STEP_TIMEOUT,
    Reason.OUT_OF_MEMORY,
    Reason.COMMAND_NOT_STARTED,
    Reason.IMAGE_PULL_FAILED,
    Reason.WORKSPACE_FULL,
    Reason.INFRASTRUCTURE_LOST,
    Reason.POD_LOST,
    Reason.EVICTED,
    Reason.PREEMPTED,
    Reason.NODE_LOST,
    Reason.NODE_DRAINED,
)
"""Those with which an attempt may end and another follow; the SDK has the same list."""


class StepStatus(StrEnum):
    """`Status`, and RESTORED: a success of another job, whose snapshot took the place of the command."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    RESTORED = "restored"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


class StepPhase(StrEnum):
    """WAITING: for a container. PLACED: assigned to one, counts as started. STARTED: reported by its supervisor."""

    WAITING = "waiting"
    PLACED = "placed"
    STARTED = "started"
    ENDED = "ended"


FOLLOWED = (StepPhase.PLACED, StepPhase.STARTED)
"""The phases in which a step may have output that was not read yet."""


class Step(Record):
    """sequence: the coordinator's number of the call. container: the number of the container that has this attempt.

    image_digest: the digest of the image of that container, `sha256:…`; "" for the machine's own programs, and until a
    container is found. shell: words of the program that gets `-c` and the command; "" for `/bin/sh -e`.
    leg: the name of the matrix' leg that it belongs to, "" for none. isolation: the number of that leg's own
    containers, 0 for those of the job.
    retry_delay_seconds: the pause before each further attempt. retry_on: exit codes as digits and reasons after which
    there is one; empty for any failure. next_attempt_at: no attempt is placed before, in Unix seconds.
    cleanup: it may also run while the job is ending.
    stopping: the danubefile asked for its end. An attempt that ends for that, and not by itself, fails no job.
    snapshot: the SHA-256 of what the step has changed, which was kept or restored; "" for nothing.
    restored_from: the job that ran it, where its snapshot was restored; "" where it ran in this job.
    before: how the same step ended in the job that this one repeats for its failed steps; "" for none.
    memory_kills: how many processes that container had lost for lack of memory before; more at the attempt's end mean
    that this attempt needed too much.
    """

    id: str
    sequence: int
    name: str
    image: str
    check: bool = True
    retries: int = 0
    timeout_seconds: int = 0
    shell: str = ""
    leg: str = ""
    isolation: int = 0
    retry_delay_seconds: int = 0
    retry_on: tuple[str, ...] = ()
    next_attempt_at: float | None = None
    cleanup: bool = False
    attempt: int = 1
    phase: StepPhase = StepPhase.WAITING
    status: Status = Status.PENDING
    container: int | None = None
    image_digest: str = ""
    stopping: bool = False
    snapshot: str = ""
    restored_from: str = ""
    before: str = ""
    memory_kills: int = 0
    requested_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    end: StepEnd | None = None
    log_begin: int = 0
    log_end: int = 0

    @property
    def shown_status(self) -> StepStatus:
        """The status for users."""
        if self.restored_from and self.status is Status.SUCCESS:
            return StepStatus.RESTORED
        return StepStatus(self.status)

    @property
    def fails_job(self) -> bool:
        """A checked step that has ended, and neither with an authentic success nor because the danubefile stopped
        it."""
        if self.end is not None and self.end.reason is Reason.STOPPED:
            return False
        return self.check and self.phase is StepPhase.ENDED and self.status is not Status.SUCCESS

    def ended(self, end: StepEnd, now: float) -> "Step":
        return replace(self, phase=StepPhase.ENDED, status=end.status, end=end, finished_at=now)

    def retries_after(self, end: StepEnd) -> bool:
        """Whether the author wants another attempt after one that has ended so, and not with a success."""
        return not self.retry_on or str(end.reason) in self.retry_on or str(end.exit_code) in self.retry_on

    def next_attempt(self, now: float) -> "Step":
        return replace(
            self,
            next_attempt_at=now + self.retry_delay_seconds if self.retry_delay_seconds else None,
            attempt=self.attempt + 1,
            phase=StepPhase.WAITING,
            status=Status.PENDING,
            container=None,
            image_digest="",
        )


def describe_end(end: StepEnd) -> str:
    """How an attempt ended, as a predicate: "failed with exit code 3"."""
    if end.status is Status.SUCCESS:
        return "succeeded"
    if end.message:
        return end.message
    if end.signal is not None:
        return f"was ended by {signal_name(end.signal)}"
    if end.exit_code is not None:
        return f"failed with exit code {end.exit_code}"
    return f"ended: {end.reason or end.status}"


def describe_failure(step: Step) -> tuple[Status, Reason, str]:
    """Status, reason and message of a job whose step failed."""
    end = step.end or StepEnd(Status.FAILURE, Reason.INFRASTRUCTURE_LOST)
    tries = f" (attempt {step.attempt} of {step.retries + 1})" if step.retries else ""
    message = f"step {step.sequence} {step.name!r} {describe_end(end)}{tries}"
    if end.status is Status.TIMEOUT:
        return Status.TIMEOUT, Reason.STEP_TIMEOUT, message
    return Status.FAILURE, end.reason or Reason.STEP_FAILED, message
