"""Rules of steps: requested, placed, started, ended, and lost with their container."""

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import Decision, IllegalEvent, with_step
from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase, step_id
from danube_pkg.core.jobs.outcome import coordinator_ended
from danube_pkg.core.jobs.reports import MAX_REPORTS
from danube_pkg.core.jobs.sealed_records import attempt_record, with_record
from danube_pkg.core.jobs.steps import MAX_STEPS, Step, StepPhase
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace

_STOPPED = ev.StepEnd(Status.CANCELLED, Reason.STOPPED, "was stopped by the danubefile")


def step_asked(job: Job, event: ev.StepRequested, now: float) -> Decision:
    """A repeated call is the same step. Raises Conflict for another content, and for more steps than a job may have."""
    if (known := job.step(event.sequence)) is not None:
        if (known.name, known.image, known.isolation) != (event.name, event.image, event.isolation):
            raise Conflict(
                "step-differs",
                f"call {event.sequence} was the step {known.name!r} and is now {event.name!r}",
                cause="the coordinator repeated a call with another content",
            )
        return job, ()
    if job.is_ending and not event.cleanup:
        what = f"{job.label} is ending and runs steps for clean-up only"
        raise Conflict("job-ending", what, cause=job.message, hint="step.run(COMMAND, cleanup=True)")
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
        shell=event.shell,
        leg=event.leg,
        isolation=event.isolation,
        retry_delay_seconds=event.retry_delay_seconds,
        retry_on=event.retry_on,
        cleanup=event.cleanup,
        before=event.before,
        requested_at=now,
    )
    return with_step(job, step), ()


def report_added(job: Job, event: ev.ReportAdded, now: float) -> Decision:
    """A repeated call is the same report. It decides nothing. Raises Conflict for more reports than a job may have."""
    if any(known.sequence == event.counts.sequence for known in job.reports):
        return job, ()
    if len(job.reports) >= MAX_REPORTS:
        hint = 'name all files in one call: reports.junit("**/report.xml")'
        raise Conflict("too-many-reports", f"a job has at most {MAX_REPORTS} reports of tests", hint=hint)
    return replace(job, reports=(*job.reports, event.counts)), ()


def step_refused(job: Job, event: ev.StepRequested, now: float) -> Decision:
    """The rule of a step that comes after the job's outcome was decided. Raises Conflict."""
    raise Conflict("job-ending", f"{job.label} is ending and takes no more steps", cause=job.message)


def step_stop_asked(job: Job, event: ev.StepStopRequested, now: float) -> Decision:
    """A step without a container ends at once; any other is stopped by its supervisor. Raises Conflict."""
    step = job.step(event.sequence)
    if step is None or step.sequence == COORDINATOR_SEQUENCE:
        raise Conflict("step-unknown", f"{job.label} has no step {event.sequence} to stop", hint="danube explain JOB")
    if step.phase is StepPhase.ENDED or step.stopping:
        return job, ()
    job = with_step(job, replace(step, stopping=True))
    if step.phase is not StepPhase.WAITING:
        return job, ()
    return step_ended(job, ev.StepEnded(step.sequence, step.attempt, _STOPPED), now)


def step_placed(job: Job, event: ev.StepPlaced, now: float) -> Decision:
    """An attempt is placed once: it is never handed to a second container."""
    step = _open_attempt(job, event)
    if step is None or step.phase is not StepPhase.WAITING:
        return job, ()
    placed = replace(
        step,
        phase=StepPhase.PLACED,
        container=event.container,
        memory_kills=event.memory_kills,
        image_digest=event.image_digest,
    )
    return with_step(job, placed), ()


def step_started(job: Job, event: ev.StepStarted, now: float) -> Decision:
    """The start of the first attempt is the step's."""
    step = _open_attempt(job, event)
    if step is None or step.phase is not StepPhase.PLACED:
        return job, ()
    started_at = step.started_at if step.started_at is not None else event.at
    return with_step(job, replace(step, phase=StepPhase.STARTED, status=Status.RUNNING, started_at=started_at)), ()


def step_ended(job: Job, event: ev.StepEnded, now: float) -> Decision:
    """A failed attempt is followed by the next while the author allows it; the coordinator's end may end the job."""
    step = _open_attempt(job, event)
    if step is None:
        return job, ()
    if _is_tried_again(job, step, event.end):
        return with_step(_sealed(job, step, event.end, now), step.next_attempt(now)), ()
    end = event.end
    if step.stopping and (end.status, end.reason) == (Status.CANCELLED, Reason.CANCELLED):
        end = replace(end, reason=Reason.STOPPED, message=_STOPPED.message)
    step = replace(step, snapshot=event.snapshot if end.status is Status.SUCCESS else "")
    ended = with_step(_sealed(job, step, end, now), step.ended(end, now))
    if step.sequence == COORDINATOR_SEQUENCE and job.phase is Phase.RUNNING:
        return coordinator_ended(ended, event, now)
    return ended, ()


def step_restored(job: Job, event: ev.StepRestored, now: float) -> Decision:
    """The first attempt ends without having run; what the container has is that of the other job's step."""
    step = _open_attempt(job, event)
    if step is None or step.phase is not StepPhase.WAITING or event.end.status is not Status.SUCCESS:
        return job, ()
    restored = replace(
        step,
        container=event.container,
        image_digest=event.image_digest,
        snapshot=event.snapshot,
        restored_from=event.source_job,
        started_at=now,
    )
    return with_step(_sealed(job, restored, event.end, now), restored.ended(event.end, now)), ()


def _is_tried_again(job: Job, step: Step, end: ev.StepEnd) -> bool:
    has_failed = end.status is not Status.SUCCESS and not step.stopping and step not in job.interrupted_steps
    return has_failed and job.phase is Phase.RUNNING and step.attempt <= step.retries and step.retries_after(end)


def container_lost(job: Job, event: ev.ContainerLost, now: float) -> Decision:
    """Open steps of a dead container end with its reason; a dead coordinator ends the job."""
    effects: tuple[Effect, ...] = ()
    status = Status.CANCELLED if event.reason is Reason.CANCELLED else Status.FAILURE
    end = ev.StepEnd(status=status, reason=event.reason, message=event.message)
    for step in job.open_steps:
        if step.container == event.container and step.sequence != COORDINATOR_SEQUENCE:
            job, effects = step_ended(job, ev.StepEnded(step.sequence, step.attempt, end), now)
    program = job.step(COORDINATOR_SEQUENCE)
    if program is not None and program.container == event.container and program.phase is not StepPhase.ENDED:
        return step_ended(job, ev.StepEnded(COORDINATOR_SEQUENCE, program.attempt, end), now)
    return job, effects


def steps_stopped(job: Job, event: ev.StepsStopped, now: float) -> Decision:
    """Steps that could not be stopped in time end with the pod; their records are lost, so they are not successes."""
    for step in job.open_steps:
        reason = Reason.CANCELLED if step.sequence != COORDINATOR_SEQUENCE else Reason.NONE
        end = ev.StepEnd(status=Status.CANCELLED, reason=reason, message="stopped with its job")
        job = with_step(_sealed(job, step, end, now), step.ended(end, now))
    return job, ()


def _sealed(job: Job, step: Step, end: ev.StepEnd, now: float) -> Job:
    """The job with the record of an attempt that ends now."""
    return replace(job, records=with_record(job.id, job.records, attempt_record(step, end, now)))


def _open_attempt(job: Job, event: ev.StepPlaced | ev.StepStarted | ev.StepEnded | ev.StepRestored) -> Step | None:
    """The step of an event, None where that attempt has ended. Raises IllegalEvent for a step that does not exist."""
    step = job.step(event.sequence)
    if step is None:
        raise IllegalEvent(job, event)
    return step if step.attempt == event.attempt and step.phase is not StepPhase.ENDED else None
