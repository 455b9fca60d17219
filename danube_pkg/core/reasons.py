"""Status and reason of jobs and steps: the reason is a stable word that says why the status is what it is.

Only the status decides anything; reasons are for users. `HINTS` says what to try next for each reason that ends a job.
"""

from enum import StrEnum


class Status(StrEnum):
    """The public state of a job or a step. The last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"

    @property
    def ended(self) -> bool:
        return self not in (Status.PENDING, Status.RUNNING)


class Reason(StrEnum):
    """Why a job or a step has its status. Values are stable, kebab-case and part of the API."""

    NONE = ""
    QUEUED = "queued"
    RESOLVING = "resolving"
    APPROVAL_REQUIRED = "approval-required"
    PREPARING = "preparing"
    ENVIRONMENT_APPROVAL = "environment-approval"
    ENVIRONMENT_REJECTED = "environment-rejected"
    ENVIRONMENT_TIMEOUT = "environment-timeout"
    STEP_FAILED = "step-failed"
    STEP_TIMEOUT = "step-timeout"
    STEP_OPEN = "step-open"
    TESTS_FAILED = "tests-failed"
    STOPPED = "stopped"
    COMMAND_NOT_STARTED = "command-not-started"
    SCRIPT_ERROR = "script-error"
    SCRIPT_INVALID = "script-invalid"
    SCRIPT_MISSING = "script-missing"
    SCRIPT_EXITED = "script-exited"
    PIPELINE_MISSING = "pipeline-missing"
    INFRASTRUCTURE_LOST = "infrastructure-lost"
    POD_LOST = "pod-lost"
    POD_FAILED = "pod-failed"
    IMAGE_PULL_FAILED = "image-pull-failed"
    HOST_IMAGE_REFUSED = "host-image-refused"
    OUT_OF_MEMORY = "out-of-memory"
    EVICTED = "evicted"
    PREEMPTED = "preempted"
    NODE_LOST = "node-lost"
    NODE_DRAINED = "node-drained"
    WORKSPACE_FULL = "workspace-full"
    SOURCE_UNAVAILABLE = "source-unavailable"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    DRAINED = "drained"
    JOB_TIMEOUT = "job-timeout"
    HOST_LACKS = "host-lacks"
    LOG_LOST = "log-lost"
    SIGNING_FAILED = "signing-failed"
    COORDINATOR_VERSION = "coordinator-version"
    EGRESS_UNENFORCED = "egress-unenforced"

    @property
    def ends_containers(self) -> bool:
        """Whether a container may end for it. A job whose coordinator's container ended has that reason itself."""
        return self in _ENDS_CONTAINERS

    @property
    def is_of_scripts(self) -> bool:
        """Whether a danubefile's process may name it as the reason of its job. What it says is not trusted: a job must
        not claim that it was superseded, or have no reason."""
        return self in _OF_SCRIPTS

    @property
    def is_of_infrastructure(self) -> bool:
        """Whether the machine, and not the job, is the cause."""
        return self in _OF_INFRASTRUCTURE


_ENDS_CONTAINERS = frozenset(
    {
        Reason.INFRASTRUCTURE_LOST,
        Reason.POD_LOST,
        Reason.OUT_OF_MEMORY,
        Reason.EVICTED,
        Reason.PREEMPTED,
        Reason.NODE_LOST,
        Reason.NODE_DRAINED,
        Reason.WORKSPACE_FULL,
        Reason.JOB_TIMEOUT,  # the cluster's own limit of a pod whose server does not run
    }
)

_OF_SCRIPTS = frozenset(
    {
        Reason.STEP_FAILED,
        Reason.STEP_OPEN,
        Reason.TESTS_FAILED,
        Reason.SCRIPT_ERROR,
        Reason.SCRIPT_INVALID,
        Reason.SCRIPT_MISSING,
        Reason.SCRIPT_EXITED,
        Reason.PIPELINE_MISSING,
        Reason.SOURCE_UNAVAILABLE,
        Reason.INFRASTRUCTURE_LOST,  # the server refuses a secret with it while the egress proxy does not mask it
    }
)

_OF_INFRASTRUCTURE = frozenset(
    {
        Reason.INFRASTRUCTURE_LOST,
        Reason.POD_LOST,
        Reason.POD_FAILED,
        Reason.HOST_LACKS,
        Reason.EVICTED,
        Reason.PREEMPTED,
        Reason.NODE_LOST,
        Reason.NODE_DRAINED,
        Reason.EGRESS_UNENFORCED,
    }
)


def reason_named(reference: str, default: Reason) -> Reason:
    """The reason with that name, or the default; an error's reference may be a reason."""
    return next((reason for reason in Reason if reason == reference), default)


HINTS: dict[Reason, str] = {
    Reason.STEP_FAILED: "read the end of the step's log; run it here with: danube run",
    Reason.STEP_TIMEOUT: "give step.run a larger timeout_seconds, or find what the command waits for at the end of its log",
    Reason.STEP_OPEN: "wait for every step that step.start() began: handle.wait() or handle.stop(), or with step.parallel():",
    Reason.TESTS_FAILED: "read the messages of the failed tests, on the job's page or in: danube logs JOB",
    Reason.COMMAND_NOT_STARTED: "check the step's working directory, and that its image has the program and a shell",
    Reason.SCRIPT_ERROR: "do what the message says, or fix the line that the traceback names; run it here with: danube run",
    Reason.SCRIPT_INVALID: "fix what is named; check the file without a job: danube validate danubefile.py",
    Reason.SCRIPT_MISSING: "commit the file, or name it in the pipeline's YAML as spec.script",
    Reason.SCRIPT_EXITED: "let the function return instead of calling exit(), and raise an exception to fail; a signal such as"
    " SIGSEGV comes from a module with native code",
    Reason.PIPELINE_MISSING: "mark exactly one function with @pipeline(name=…) from the package danube",
    Reason.INFRASTRUCTURE_LOST: "rerun the job: danube rerun JOB; if it happens again: danube doctor",
    Reason.EGRESS_UNENFORCED: "use a network plugin that enforces NetworkPolicy (docs/kubernetes.md), or accept it in"
    ' danube.toml: [egress] unenforced = "warn"',
    Reason.COORDINATOR_VERSION: "make the coordinator's image of this version: danube image coordinator --output FILE, or"
    " --push REGISTRY/NAME, and name it in danube.toml",
    Reason.POD_LOST: "rerun the job: danube rerun JOB; find out what removed its pod",
    Reason.POD_FAILED: "see the cause; check this machine with: danube doctor",
    Reason.IMAGE_PULL_FAILED: "check the image's name and the registry's credentials",
    Reason.HOST_IMAGE_REFUSED: "load an image where the server runs: danube image load FILE; then name it in the pipeline: image: NAME",
    Reason.OUT_OF_MEMORY: "raise the pipeline's resources.memory_mb, or make the command use less",
    Reason.EVICTED: "rerun the job: danube rerun JOB; the node was short of a resource",
    Reason.PREEMPTED: "rerun the job: danube rerun JOB; pods of a higher priority needed its place in the cluster",
    Reason.NODE_LOST: "rerun the job: danube rerun JOB; find out what happened to its node: kubectl get nodes",
    Reason.NODE_DRAINED: "rerun the job: danube rerun JOB; wait for jobs before a node is drained: danube drain",
    Reason.WORKSPACE_FULL: "raise the pipeline's workspace_size_gb, or remove files that later steps do not need",
    Reason.SOURCE_UNAVAILABLE: "check that the repository and the ref exist and that Danube may read them",
    Reason.JOB_TIMEOUT: "raise the pipeline's max_duration_seconds, or find the step that takes so long",
    Reason.ENVIRONMENT_REJECTED: "fix what the user who rejected it has named; a new job asks again: danube rerun JOB",
    Reason.ENVIRONMENT_TIMEOUT: "a new job asks again: danube rerun JOB; environments in the pipeline's YAML names who may"
    " approve, and for how long it waits",
    Reason.CANCELLED: "nothing is wrong; the same commit runs again with: danube rerun JOB",
    Reason.DRAINED: "the server was drained for maintenance; once it takes work again: danube rerun JOB",
    Reason.HOST_LACKS: "check this machine with: danube doctor",
    Reason.LOG_LOST: "find out what removes files below logs/ of the data directory; then: danube rerun JOB",
    Reason.SIGNING_FAILED: "check keys/signing.key of the data directory and the server's log; then: danube rerun JOB",
}

_RUN_HINTS: dict[Reason, str] = {
    Reason.STEP_FAILED: "read the end of the step's output above",
    Reason.TESTS_FAILED: "read the messages of the failed tests above",
    Reason.SCRIPT_ERROR: "do what the message says, or fix the line that the traceback names",
    Reason.INFRASTRUCTURE_LOST: "run it again: danube run; if it happens again: danube doctor",
    Reason.POD_LOST: "run it again: danube run; find out what removed its pod",
    Reason.LOG_LOST: "find out what removes files below ~/.local/state/danube; then run it again",
    Reason.SIGNING_FAILED: "run it again: danube run",
    Reason.DRAINED: "run it again: danube run",
    Reason.EVICTED: "run it again: danube run; the machine was short of a resource",
    Reason.PREEMPTED: "run it again: danube run; this machine has no pods of other priorities",
    Reason.NODE_LOST: "run it again: danube run; if it happens again: danube doctor",
    Reason.NODE_DRAINED: "run it again: danube run",
    Reason.SCRIPT_MISSING: "name the file: danube run --script FILE",
    Reason.JOB_TIMEOUT: "give it more seconds: danube run --timeout SECONDS; or find the step that takes so long",
    Reason.OUT_OF_MEMORY: "free memory on this machine, or make the command use less",
    Reason.ENVIRONMENT_REJECTED: "approve it: danube run --approve ENVIRONMENT",
    Reason.ENVIRONMENT_TIMEOUT: "approve it: danube run --approve ENVIRONMENT",
    Reason.CANCELLED: "",
    Reason.DRAINED: "run it again: danube run",
}
"""Where they differ for `danube run`, which has no server, no stored job and no pipeline's YAML."""


def run_hint(reason: Reason) -> str:
    """What to try next after a `danube run`; "" where nothing is wrong."""
    return _RUN_HINTS.get(reason, HINTS.get(reason, ""))
