"""Everything that can happen to a job, as immutable values. `core.jobs.transitions` holds the rule of each."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.jobs.reports import ReportCounts
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision, SubmoduleCommit
from danube_pkg.kit.digests import EMPTY, Digest
from danube_pkg.kit.records import HIDDEN, Record, field


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
    """The base of the events below."""


class Admitted(JobEvent):
    """The scheduler lets the job start, in a pod that will have this id."""

    pod_id: str


class RefResolved(JobEvent):
    """The commit that the ref of a waiting job names."""

    revision: Revision


class RefRefused(JobEvent):
    """The ref of a waiting job names no commit, or its repository cannot be read. message: what failed, and why."""

    message: str


class Approved(JobEvent):
    """A user has reviewed untrusted code and lets exactly this commit run."""

    by: str
    commit_sha: str


class CancelRequested(JobEvent):
    """A user wants the job ended, or a newer job of its concurrency group supersedes it. by: which."""

    by: str
    reason: Reason = Reason.CANCELLED


class DeadlinePassed(JobEvent):
    """The time is `deadline_at` or later."""


class GraceEnded(JobEvent):
    """The time is `grace_until` or later: the job has had its time for clean-up."""


class ClockMoved(JobEvent):
    """The machine's clock was set forward by so many seconds, or back where they are negative."""

    seconds: float


class SourceOpened(JobEvent):
    """The job's code can be read. rule: the rule of git_authentication that it is read with, or "no login".

    commit_sha: the commit that is read, where the trigger named a tag object; "" without Git. commit_message,
    commit_author: from the commit; "" where the source does not have them. submodules: what is read with it.
    """

    rule: str
    commit_sha: str = ""
    commit_message: str = ""
    commit_author: str = ""
    submodules: tuple[SubmoduleCommit, ...] = ()


class PodReady(JobEvent):
    """The pod is running. container: the number of the coordinator's container. egress_enforced_by: what was observed
    of its network."""

    container: int
    egress_enforced_by: str = ""


class PodFailed(JobEvent):
    """The pod, or the coordinator in it, cannot be created; a retry would not help."""

    reason: Reason
    message: str


class StepRequested(JobEvent):
    """The coordinator requests a step. Its command and environment are in no event and no stored record."""

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
    cleanup: bool = False
    before: str = ""


class ReportAdded(JobEvent):
    """The danubefile has reported tests."""

    counts: ReportCounts


class EnvironmentRequested(JobEvent):
    """The danubefile asks for an environment. timeout_seconds: how long it waits for the decision; 0: as long as the
    environment allows."""

    sequence: int
    environment: str
    timeout_seconds: int = 0


class EnvironmentDecided(JobEvent):
    """A user who may decide has approved or rejected a request. reason: in the user's words."""

    sequence: int
    by: str
    approve: bool
    reason: str = ""


class EnvironmentGranted(JobEvent):
    """The scheduler lets an approved job continue."""

    sequence: int


class EnvironmentExpired(JobEvent):
    """The wait for a decision has lasted as long as it may."""

    sequence: int


class StepStopRequested(JobEvent):
    """The danubefile wants a running step ended, such as a service that is not needed any more."""

    sequence: int


class StepPlaced(JobEvent):
    """The attempt is assigned to a container. It counts as started and is never given to another container.

    memory_kills: how many of the container's processes the kernel had killed for lack of memory before.
    """

    sequence: int
    attempt: int
    container: int
    memory_kills: int = 0
    image_digest: str = ""


class StepStarted(JobEvent):
    """The supervisor reported that the command runs, since `at` (Unix seconds)."""

    sequence: int
    attempt: int
    at: float


class StepEnded(JobEvent):
    """An attempt ended. snapshot: the SHA-256 of what was kept of it; "" for nothing."""

    sequence: int
    attempt: int
    end: StepEnd
    snapshot: str = ""


class StepRestored(JobEvent):
    """What another job's step has left was put into a container in the place of the attempt. snapshot: its SHA-256.
    source_job: the job whose authentic record of success states it."""

    sequence: int
    attempt: int
    container: int
    image_digest: str
    snapshot: str
    source_job: str
    end: StepEnd


class ContainerLost(JobEvent):
    """A container of the pod has ended, and with it its supervisor's records."""

    container: int
    reason: Reason
    message: str


class ScriptFailure(Record):
    """Why the pipeline function did not return. `step`: the failed step's sequence, 0 where no step caused it."""

    reason: Reason
    message: str
    step: int = 0


class Finished(JobEvent):
    """The coordinator called Finish; without a `failure` the pipeline function returned."""

    failure: ScriptFailure | None = None


class StepsStopped(JobEvent):
    """Every step that could be stopped has been, and its output is in the log."""


class LogClosed(JobEvent):
    """The log is closed. `step_ranges`: each step's sequence and its byte range in the log. is_lost: lines that the log
    had are gone. log, egress: what the log is, and what the egress ledger is so far."""

    step_ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    is_lost: bool = False
    log: Digest = EMPTY
    egress: Digest = EMPTY
    is_network_closed: bool = False
    """Whether its pod, which is to be kept, reaches nothing any more; one of which that is not certain is removed."""


class FilesSealed(JobEvent):
    """What the log and the egress ledger of a running job are so far: both only grow."""

    log: Digest
    egress: Digest


class ProvenanceSigned(JobEvent):
    """A statement about the job was signed. envelope: a DSSE envelope as JSON."""

    envelope: Annotated[bytes, HIDDEN]
    key_id: str


class SigningFailed(JobEvent):
    """Provenance cannot be signed, and a retry would not help."""

    message: str


class PodReleased(JobEvent):
    """The pod of an ended job is kept no longer: the time is over, its room is needed, or a user wants it removed."""


class PodDeleted(JobEvent):
    """The runtime has nothing of the pod any more."""
