"""The rules of a job's life: a table of transitions and `decide(job, event, now) -> (job, effects)`.

    QUEUED ──Admitted──▶ PREPARING ──PodReady──▶ RUNNING ──conclude──▶ CONCLUDING ──LogClosed──▶ ENDED ──PodDeleted──▶ CLOSED

Whatever ends a job (Finish, a lost container, cancel, the deadline) decides the outcome once, in `conclude`, and bumps the
generation, so that effects decided before are skipped. The public status changes to an end only when the log is whole.

A job becomes green on one path only: the coordinator said Finish(success), no step is open, and each step that is checked
has an authentic record of success. A (phase, event) pair that is not in the table raises `IllegalEvent`.
"""

from collections.abc import Callable
from typing import Any

from danube_pkg.core.errors import Conflict, Defect
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase, step_id
from danube_pkg.core.jobs.steps import (
    MAX_STEPS,
    Step,
    StepPhase,
    describe_failure,
)
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace


class IllegalEvent(Defect):
    """An event that this phase cannot have: a bug in Danube, never the user's fault."""

    def __init__(self, job: Job, event: ev.JobEvent) -> None:
        super().__init__("illegal-event", f"{job.label} in phase {job.phase} cannot take {event!r}")


Decision = tuple[Job, tuple[Effect, ...]]


def decide(job: Job, event: ev.JobEvent, now: float) -> Decision:
    """The next state and the effects that it owes. Raises IllegalEvent, or Conflict for a request that comes too late."""
    rule = TRANSITIONS.get((job.phase, type(event)))
    if rule is None:
        raise IllegalEvent(job, event)
    return rule(job, event, now)


def _owe(job: Job, *kinds: EffectKind) -> Decision:
    effects = tuple(
        Effect(job.id, job.effect_count + index, job.generation, kind) for index, kind in enumerate(kinds, start=1)
    )
    return replace(job, effect_count=job.effect_count + len(effects)), effects


def _unchanged(job: Job, event: ev.JobEvent, now: float) -> Decision:
    """A late or repeated event whose moment has passed."""
    return job, ()


def _with_step(job: Job, step: Step) -> Job:
    others = [other for other in job.steps if other.sequence != step.sequence]
    return replace(job, steps=tuple(sorted([*others, step], key=lambda item: item.sequence)))


def conclude(job: Job, status: Status, reason: Reason, message: str) -> Decision:
    """Decide the outcome, once. What runs is stopped, the log is made whole, only then the status is public."""
    concluded = replace(
        job, phase=Phase.CONCLUDING, outcome=status, reason=reason, message=message, generation=job.generation + 1
    )
    return _owe(concluded, EffectKind.STOP_STEPS, EffectKind.CLOSE_LOG, EffectKind.DELETE_POD)


def _admitted(job: Job, event: ev.Admitted, now: float) -> Decision:
    admitted = replace(
        job,
        phase=Phase.PREPARING,
        status=Status.RUNNING,
        reason=Reason.PREPARING,
        message="",
        pod_id=event.pod_id,
        started_at=now,
        deadline_at=now + job.settings.max_duration_seconds,
    )
    return _owe(admitted, EffectKind.CREATE_POD)


def _approved(job: Job, event: ev.Approved, now: float) -> Decision:
    """Only for the commit that somebody has looked at."""
    if job.reason is not Reason.APPROVAL_REQUIRED:
        return _no_approval(job, event, now)
    if event.commit_sha != job.trigger.commit_sha:
        raise Conflict(
            "approval-of-another-commit",
            f"{job.label} is of commit {job.trigger.commit_sha}",
            cause=f"the approval is for {event.commit_sha}",
            hint="look at the job's commit, and approve that one",
        )
    return replace(job, reason=Reason.QUEUED, message=f"approved by {event.by}"), ()


def _no_approval(job: Job, event: ev.Approved, now: float) -> Decision:
    raise Conflict("approval-not-needed", f"{job.label} does not wait for an approval", hint="danube explain JOB")


def _cancelled_in_queue(job: Job, event: ev.CancelAsked, now: float) -> Decision:
    message = f"{_cancelled(event)} before it started"
    ended = replace(
        job,
        phase=Phase.CLOSED,
        status=Status.CANCELLED,
        outcome=Status.CANCELLED,
        reason=event.reason,
        message=message,
        cancelled_by=event.by,
        finished_at=now,
    )
    return ended, ()


def _pod_ready(job: Job, event: ev.PodReady, now: float) -> Decision:
    program = Step(
        id=step_id(job.id, COORDINATOR_SEQUENCE),
        sequence=COORDINATOR_SEQUENCE,
        name=job.settings.script,
        image="",
        phase=StepPhase.PLACED,
        container=event.container,
        asked_at=now,
    )
    return replace(_with_step(job, program), phase=Phase.RUNNING, reason=Reason.NONE), ()


def _source_opened(job: Job, event: ev.SourceOpened, now: float) -> Decision:
    trigger = job.trigger.told(event.commit_message, event.commit_author)
    known = job.source_rule == event.rule and trigger is job.trigger
    return job if known else replace(job, source_rule=event.rule, trigger=trigger), ()


def _pod_failed(job: Job, event: ev.PodFailed, now: float) -> Decision:
    return conclude(job, Status.FAILURE, event.reason, event.message)


def _step_asked(job: Job, event: ev.StepAsked, now: float) -> Decision:
    if (known := job.step(event.sequence)) is not None:
        if (known.name, known.image) != (event.name, event.image):
            raise Conflict(
                "step-differs",
                f"call {event.sequence} was the step {known.name!r} and is now {event.name!r}",
                cause="the coordinator repeated a call with another content",
            )
        return job, ()
    if len(job.steps) > MAX_STEPS:
        raise Conflict("too-many-steps", f"a job has at most {MAX_STEPS} steps", hint="let one command do more")
    step = Step(
        id=step_id(job.id, event.sequence),
        sequence=event.sequence,
        name=event.name,
        image=event.image,
        check=event.check,
        retries=event.retries,
        timeout_seconds=event.timeout_seconds,
        asked_at=now,
    )
    return _with_step(job, step), ()


def _refuse_step(job: Job, event: ev.StepAsked, now: float) -> Decision:
    raise Conflict("job-ending", f"{job.label} is ending and takes no more steps", cause=job.message)


def _expect_step(job: Job, event: ev.StepPlaced | ev.StepStarted | ev.StepEnded) -> Step | None:
    """The step that an event of this attempt is about; None when it ended or a later attempt began meanwhile."""
    step = job.step(event.sequence)
    if step is None:
        raise IllegalEvent(job, event)
    return step if step.attempt == event.attempt and step.phase is not StepPhase.ENDED else None


def _step_placed(job: Job, event: ev.StepPlaced, now: float) -> Decision:
    step = _expect_step(job, event)
    if step is None or step.phase is not StepPhase.WAITING:
        return job, ()
    placed = replace(step, phase=StepPhase.PLACED, container=event.container, memory_kills=event.memory_kills)
    return _with_step(job, placed), ()


def _step_started(job: Job, event: ev.StepStarted, now: float) -> Decision:
    step = _expect_step(job, event)
    if step is None or step.phase is not StepPhase.PLACED:
        return job, ()
    started_at = step.started_at if step.started_at is not None else event.at
    return _with_step(job, replace(step, phase=StepPhase.STARTED, status=Status.RUNNING, started_at=started_at)), ()


def _step_ended(job: Job, event: ev.StepEnded, now: float) -> Decision:
    step = _expect_step(job, event)
    if step is None:
        return job, ()
    if job.phase is Phase.RUNNING and event.end.status is not Status.SUCCESS and step.attempt <= step.retries:
        return _with_step(job, step.next_attempt()), ()
    ended = _with_step(job, step.ended(event.end, now))
    if step.sequence == COORDINATOR_SEQUENCE and job.phase is Phase.RUNNING:
        return _coordinator_ended(ended, event, now)
    return ended, ()


def _coordinator_ended(job: Job, event: ev.StepEnded, now: float) -> Decision:
    """It ended without having said Finish: never green, whatever its exit code."""
    end = event.end
    if end.reason in (Reason.OUT_OF_MEMORY, Reason.EVICTED, Reason.POD_LOST, Reason.INFRASTRUCTURE_LOST):
        return conclude(job, Status.FAILURE, end.reason, f"the danubefile's own process is gone: {end.message}")
    if end.reason is Reason.STEP_TIMEOUT:
        return _deadline(job, event, now)
    how = end.message or f"exit code {end.exit_code}"
    message = f"the danubefile's process left before its pipeline function returned ({how})"
    return conclude(job, Status.FAILURE, Reason.SCRIPT_EXITED, message)


def _finished(job: Job, event: ev.Finished, now: float) -> Decision:
    for step in job.open_steps:
        if step.sequence != COORDINATOR_SEQUENCE and event.failure is None:
            message = f"step {step.sequence} {step.name!r} was still open when the pipeline function returned"
            return conclude(job, Status.FAILURE, Reason.STEP_OPEN, message)
    culprit = job.step(event.failure.step) if event.failure and event.failure.step else None
    failed = [step for step in job.steps if step.sequence != COORDINATOR_SEQUENCE and step.is_red]
    if culprit is not None and culprit.is_red:
        return conclude(job, *describe_failure(culprit))
    if event.failure is not None:
        return conclude(job, Status.FAILURE, event.failure.reason, event.failure.message)
    if failed:
        return conclude(job, *describe_failure(failed[0]))
    return conclude(job, Status.SUCCESS, Reason.NONE, "")


def _container_lost(job: Job, event: ev.ContainerLost, now: float) -> Decision:
    """Open steps of a dead container end with its reason; a dead coordinator ends the job."""
    effects: tuple[Effect, ...] = ()
    end = ev.StepEnd(status=Status.FAILURE, reason=event.reason, message=event.message)
    for step in job.open_steps:
        if step.container == event.container and step.sequence != COORDINATOR_SEQUENCE:
            job, effects = _step_ended(job, ev.StepEnded(step.sequence, step.attempt, end), now)
    program = job.step(COORDINATOR_SEQUENCE)
    if program is not None and program.container == event.container and program.phase is not StepPhase.ENDED:
        return _step_ended(job, ev.StepEnded(COORDINATOR_SEQUENCE, program.attempt, end), now)
    return job, effects


def _cancel(job: Job, event: ev.CancelAsked, now: float) -> Decision:
    cancelled = replace(job, cancelled_by=event.by)
    return conclude(cancelled, Status.CANCELLED, event.reason, _cancelled(event))


def _cancelled(event: ev.CancelAsked) -> str:
    return f"{'superseded' if event.reason is Reason.SUPERSEDED else 'cancelled'} by {event.by}"


def _deadline(job: Job, event: ev.JobEvent, now: float) -> Decision:
    seconds = job.settings.max_duration_seconds
    running = [step.name for step in job.open_steps if step.sequence != COORDINATOR_SEQUENCE]
    during = f" during {', '.join(repr(name) for name in running[:3])}" if running else ""
    return conclude(job, Status.TIMEOUT, Reason.JOB_TIMEOUT, f"the job took longer than its {seconds} s{during}")


def _steps_stopped(job: Job, event: ev.StepsStopped, now: float) -> Decision:
    """What could not be stopped in time goes with the pod; its record is gone, so it is not a success."""
    for step in job.open_steps:
        reached = Reason.CANCELLED if step.sequence != COORDINATOR_SEQUENCE else Reason.NONE
        end = ev.StepEnd(status=Status.CANCELLED, reason=reached, message="stopped with its job")
        job = _with_step(job, step.ended(end, now))
    return job, ()


def _log_closed(job: Job, event: ev.LogClosed, now: float) -> Decision:
    if job.outcome is None or job.open_steps:  # what is open is stopped first, or it would stay open in an ended job
        raise IllegalEvent(job, event)
    ranges = event.step_ranges
    steps = tuple(
        replace(step, log_begin=ranges[step.sequence][0], log_end=ranges[step.sequence][1])
        if step.sequence in ranges
        else step
        for step in job.steps
    )
    return replace(job, phase=Phase.ENDED, status=job.outcome, finished_at=now, steps=steps), ()


def _pod_deleted(job: Job, event: ev.PodDeleted, now: float) -> Decision:
    return replace(job, phase=Phase.CLOSED), ()


_Rule = Callable[[Job, Any, float], Decision]

TRANSITIONS: dict[tuple[Phase, type[ev.JobEvent]], _Rule] = {
    (Phase.QUEUED, ev.Admitted): _admitted,
    (Phase.QUEUED, ev.Approved): _approved,
    (Phase.QUEUED, ev.CancelAsked): _cancelled_in_queue,
    (Phase.PREPARING, ev.SourceOpened): _source_opened,
    (Phase.RUNNING, ev.SourceOpened): _source_opened,
    (Phase.PREPARING, ev.PodReady): _pod_ready,
    (Phase.PREPARING, ev.PodFailed): _pod_failed,
    (Phase.PREPARING, ev.ContainerLost): _unchanged,
    (Phase.PREPARING, ev.CancelAsked): _cancel,
    (Phase.PREPARING, ev.DeadlinePassed): _deadline,
    (Phase.RUNNING, ev.PodFailed): _pod_failed,
    (Phase.RUNNING, ev.StepAsked): _step_asked,
    (Phase.RUNNING, ev.StepPlaced): _step_placed,
    (Phase.RUNNING, ev.StepStarted): _step_started,
    (Phase.RUNNING, ev.StepEnded): _step_ended,
    (Phase.RUNNING, ev.Finished): _finished,
    (Phase.RUNNING, ev.ContainerLost): _container_lost,
    (Phase.RUNNING, ev.CancelAsked): _cancel,
    (Phase.RUNNING, ev.DeadlinePassed): _deadline,
    (Phase.CONCLUDING, ev.StepAsked): _refuse_step,
    (Phase.CONCLUDING, ev.StepStarted): _step_started,
    (Phase.CONCLUDING, ev.StepEnded): _step_ended,
    (Phase.CONCLUDING, ev.ContainerLost): _container_lost,
    (Phase.CONCLUDING, ev.StepsStopped): _steps_stopped,
    (Phase.CONCLUDING, ev.LogClosed): _log_closed,
    (Phase.ENDED, ev.PodDeleted): _pod_deleted,
    (Phase.ENDED, ev.StepAsked): _refuse_step,
    (Phase.CLOSED, ev.StepAsked): _refuse_step,
    # What comes late: its moment has passed, and it changes nothing.
    (Phase.QUEUED, ev.DeadlinePassed): _unchanged,
    **{
        (phase, event): _unchanged
        for phase in (Phase.CONCLUDING, Phase.ENDED, Phase.CLOSED)
        for event in (ev.CancelAsked, ev.DeadlinePassed, ev.Finished, ev.StepPlaced, ev.PodReady, ev.PodFailed)
    },
    **{
        (phase, event): _unchanged
        for phase in (Phase.ENDED, Phase.CLOSED)
        for event in (ev.StepStarted, ev.StepEnded, ev.ContainerLost, ev.LogClosed, ev.StepsStopped, ev.SourceOpened)
    },
    (Phase.CLOSED, ev.PodDeleted): _unchanged,
    (Phase.CONCLUDING, ev.SourceOpened): _unchanged,
    **{(phase, ev.Approved): _no_approval for phase in Phase if phase is not Phase.QUEUED},
    (Phase.CLOSED, ev.Admitted): _unchanged,  # cancelled in the queue at the very moment when a place became free
}
