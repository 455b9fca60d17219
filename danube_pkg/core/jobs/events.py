"""Everything that can happen to a job, as frozen values. `core.jobs.transitions.TRANSITIONS` says what follows from each."""

from collections.abc import Mapping

from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import Record, field


class StepEnd(Record):
    """How an attempt of a step ended. SUCCESS only from an authentic record. Durations in microseconds."""

    status: Status
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    wall_us: int = 0
    user_us: int = 0
    system_us: int = 0
    peak_memory_bytes: int = 0
    output_bytes: int = 0
    output_hash: str = ""


class JobEvent(Record):
    """The root of the events below."""


class Admitted(JobEvent):
    """The scheduler starts the job, in a pod that will have this id."""

    pod_id: str


class Approved(JobEvent):
    """Somebody has looked at strangers' code and lets exactly this commit run."""

    by: str
    commit_sha: str


class CancelAsked(JobEvent):
    """A person, or a newer job of its concurrency group, wants it ended."""

    by: str
    reason: Reason = Reason.CANCELLED


class DeadlinePassed(JobEvent):
    """`deadline_at` is over."""


class SourceOpened(JobEvent):
    """The job's code is at hand; `rule` of git_authentication, or "no login", is what it was read with.

    commit_message, commit_author: what the commit says of itself; "" where that is not told here.
    """

    rule: str
    commit_message: str = ""
    commit_author: str = ""


class PodReady(JobEvent):
    """The pod is made; `container` is the coordinator's number."""

    container: int


class PodFailed(JobEvent):
    """The pod, or the coordinator in it, could not be made, and trying again does not help."""

    reason: Reason
    message: str


class StepAsked(JobEvent):
    """The coordinator wants a step. Its command and environment are in no event and no record."""

    sequence: int
    name: str
    image: str
    check: bool = True
    retries: int = 0
    timeout_seconds: int = 0


class StepPlaced(JobEvent):
    """From here on the attempt counts as started: it is asked after in this container, never handed to another.

    memory_kills: how many of the container's processes the kernel had killed for memory before.
    """

    sequence: int
    attempt: int
    container: int
    memory_kills: int = 0


class StepStarted(JobEvent):
    """The supervisor said that the command runs, since `at` (Unix seconds)."""

    sequence: int
    attempt: int
    at: float


class StepEnded(JobEvent):
    """An attempt ended."""

    sequence: int
    attempt: int
    end: StepEnd


class ContainerLost(JobEvent):
    """A container of the pod is gone, and with it the records of its supervisor."""

    container: int
    reason: Reason
    message: str


class ScriptFailure(Record):
    """Why the pipeline function did not return. `step` is the failed step's sequence, 0 where it was none."""

    reason: Reason
    message: str
    step: int = 0


class Finished(JobEvent):
    """The coordinator said Finish; without a `failure` the pipeline function returned."""

    failure: ScriptFailure | None = None


class StepsStopped(JobEvent):
    """Every step that could be stopped was, and what they printed is in the log."""


class LogClosed(JobEvent):
    """The log is whole. `step_ranges` maps a step's sequence to its byte range in the log."""

    step_ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict)


class PodDeleted(JobEvent):
    """Nothing of the pod is left."""
