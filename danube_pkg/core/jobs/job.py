"""A job as a value: its phase, its public status and its steps. The rules of its life are in transitions.py."""

from enum import StrEnum
from typing import Annotated

from danube_pkg.core.errors import NotFound
from danube_pkg.core.jobs.environment_approvals import Approvals, open_approval
from danube_pkg.core.jobs.reports import ReportCounts
from danube_pkg.core.jobs.sealed_records import SealedRecord
from danube_pkg.core.jobs.steps import (
    Step,
    StepPhase,
)
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import HIDDEN, Record

COORDINATOR_SEQUENCE = 0
"""The coordinator's program runs as a step of its container's supervisor, with this sequence number."""


class Phase(StrEnum):
    """The engine's state of a job; finer than the public status. transitions.py has the picture."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    CONCLUDING = "concluding"
    SIGNING = "signing"
    ENDED = "ended"
    CLOSED = "closed"


class KeptPod(StrEnum):
    """Whether the pod of a failed job is kept for `danube shell`. RELEASED: it was, and is removed."""

    NONE = ""
    KEPT = "kept"
    RELEASED = "released"


class Provenance(Record):
    """What was signed about a job. envelope: a DSSE envelope as JSON; b"" where it could not be signed, with the cause
    in `problem`: artifacts of such a job are never released. key_id: of the key that has signed."""

    envelope: Annotated[bytes, HIDDEN]
    key_id: str = ""
    problem: str = ""


class Job(Record):
    """One execution of a pipeline. `decide` returns its next state.

    generation: incremented when the outcome is decided, which makes earlier effects stale. effect_count: how many
    effects it has owed. outcome: decided, but not public until the log is whole. steps: ordered by sequence.
    """

    id: str
    pipeline_id: str
    pipeline: str
    trigger: Trigger
    settings: PipelineSettings
    created_at: float
    phase: Phase = Phase.QUEUED
    status: Status = Status.PENDING
    reason: Reason = Reason.QUEUED
    message: str = ""
    generation: int = 0
    effect_count: int = 0
    outcome: Status | None = None
    cancelled_by: str = ""
    started_at: float | None = None
    deadline_at: float | None = None
    grace_until: float | None = None
    """When a job that was cancelled or reached its deadline must have cleaned up; None before."""
    finished_at: float | None = None
    kept_pod: KeptPod = KeptPod.NONE
    """Decided with its outcome. It is kept from the end of the job until `kept_until`, or until it is released."""
    pod_id: str = ""
    """The pod that it runs in, "" while it waits; a job from before pods had ids has its own id here."""
    source_rule: str = ""
    """The rule of git_authentication that its code was read with; "" where none was needed."""
    configuration: str = ""
    """The revision of the configuration that it was created by; "" for a job from before that was recorded."""
    egress_enforced_by: str = ""
    """What was seen to keep its pod from passing by the egress proxy, a `core.egress.canaries.EnforcedBy`."""
    steps: tuple[Step, ...] = ()
    reports: tuple[ReportCounts, ...] = ()
    """What the danubefile has reported of its tests."""
    approvals: Approvals = ()
    """The environments that the danubefile has asked for in its middle."""
    records: Annotated[tuple[SealedRecord, ...], HIDDEN] = ()
    """What has been sealed so far. A closed job is loaded without them."""
    provenance: Provenance | None = None
    """Set by the end of signing, and stored with it. A loaded job has none here."""

    def step(self, sequence: int) -> Step | None:
        return next((step for step in self.steps if step.sequence == sequence), None)

    @property
    def is_ending(self) -> bool:
        """Whether its outcome is decided while its danubefile still has time for clean-up and uploads."""
        return self.phase is Phase.RUNNING and self.outcome is not None

    @property
    def keeps_pod(self) -> bool:
        """Whether its pod is not removed with its end, but kept for a shell."""
        return self.kept_pod is KeptPod.KEPT

    @property
    def kept_until(self) -> float | None:
        """Until when the pod of an ended job is kept, in Unix seconds; None where none is."""
        if not self.keeps_pod or self.phase is not Phase.ENDED or self.finished_at is None:
            return None
        return self.finished_at + self.settings.keep_failed_seconds

    @property
    def is_settled(self) -> bool:
        """Whether nothing of its result changes any more, and its pod is removed or kept: a job comes to it once."""
        if self.kept_pod is KeptPod.NONE:
            return self.phase is Phase.CLOSED
        return self.phase is Phase.ENDED and self.keeps_pod

    @property
    def interrupted_steps(self) -> tuple[Step, ...]:
        """Open steps that must end before the rest of a job that is ending: all that are not for clean-up."""
        steps = self.open_steps if self.is_ending else ()
        return tuple(step for step in steps if not step.cleanup and step.sequence != COORDINATOR_SEQUENCE)

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """Steps that have not ended, the coordinator's program included."""
        return tuple(step for step in self.steps if step.phase is not StepPhase.ENDED)

    @property
    def waits_for_approval(self) -> bool:
        """Whether it has asked for an environment, and does not continue yet: it is frozen and holds no slot."""
        return self.phase is Phase.RUNNING and open_approval(self.approvals) is not None

    @property
    def runs_steps(self) -> bool:
        """Whether steps may be started now."""
        return self.phase is Phase.RUNNING and not self.waits_for_approval

    @property
    def label(self) -> str:
        return f"job {self.id} of {self.pipeline}"


def initial_reason(trigger: Trigger) -> Reason:
    """Why a new job waits: untrusted code needs an approval."""
    needed = trigger.is_untrusted and not trigger.approved_by and not trigger.member
    return Reason.APPROVAL_REQUIRED if needed else Reason.QUEUED


def approval_message(approved_by: str) -> str:
    """The message of a waiting job that was approved; "" where no user did."""
    return f"approved by {approved_by}" if approved_by else ""


def start_message(trigger: Trigger) -> str:
    """The message of a new job: whose approval or membership lets untrusted code run."""
    if trigger.member and not trigger.approved_by:
        return f"without an approval: {trigger.member} may write to the repository (trust: members)"
    return approval_message(trigger.approved_by)


def unknown_job(job_id: str) -> NotFound:
    """The same error for a job that does not exist and for one that the caller may not see."""
    return NotFound("job-unknown", f"there is no job {job_id!r}", hint="list them with: danube jobs")


def step_id(job_id: str, sequence: int) -> str:
    """Unique over all jobs; sorts by sequence within its job."""
    return f"{job_id}-{sequence:04d}"
