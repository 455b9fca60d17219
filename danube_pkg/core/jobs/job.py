"""A job as a value: its phase, its public status and its steps. What may happen to it is in transitions.py."""

from enum import StrEnum

from danube_pkg.core.errors import NotFound
from danube_pkg.core.jobs.steps import (
    Step,
    StepPhase,
)
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import Record

COORDINATOR_SEQUENCE = 0
"""The coordinator's program runs as a step of its container's supervisor: the one with this sequence number."""


class Phase(StrEnum):
    """Where the engine is with a job; finer than the public status."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    CONCLUDING = "concluding"
    ENDED = "ended"
    CLOSED = "closed"


class Job(Record):
    """One execution. Immutable: `decide` gives the next one. `steps` is ordered by sequence, the coordinator first."""

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
    finished_at: float | None = None
    pod_id: str = ""
    """The pod that it runs in, "" while it waits; a job from before pods had ids has its own id here."""
    source_rule: str = ""
    """By which rule of git_authentication its code was read; "" for what needs none."""
    steps: tuple[Step, ...] = ()

    def step(self, sequence: int) -> Step | None:
        return next((step for step in self.steps if step.sequence == sequence), None)

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """Steps that have not ended, the coordinator's program included."""
        return tuple(step for step in self.steps if step.phase is not StepPhase.ENDED)

    @property
    def label(self) -> str:
        return f"{self.pipeline} job {self.id}"


def reason_to_wait(trigger: Trigger) -> Reason:
    """Why a new job waits: strangers' code needs somebody who has looked at it."""
    return Reason.APPROVAL_REQUIRED if trigger.is_foreign else Reason.QUEUED


def unknown_job(job_id: str) -> NotFound:
    """The same words whether it is not there or not for the caller's eyes."""
    return NotFound("job-unknown", f"there is no job {job_id!r}", hint="list them with: danube jobs")


def step_id(job_id: str, sequence: int) -> str:
    """Unique over all jobs, derivable, sorts within its job."""
    return f"{job_id}-{sequence:04d}"
