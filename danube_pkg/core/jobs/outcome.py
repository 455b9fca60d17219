"""How a job ends: what decides its outcome, what it owes then, and when its status becomes public.

A running job that is cancelled or reaches its deadline has its outcome at once, and stays RUNNING for at most its
`grace_seconds` (`end_after_grace`): its steps are stopped, and its danubefile may upload and run steps for clean-up.
What ends the job meanwhile, and a second cancel, concludes it with the outcome that it has.

    outcome decided ──STOP_STEPS──▶ StepsStopped ──CLOSE_LOG──▶ LogClosed ──SIGN_PROVENANCE──▶ ProvenanceSigned
       (conclude)                                              (log_closed)                         (signed)
                                                  closed ◀──DELETE_POD── status public, artifacts released ◀──┘

The pod of a failed job may be kept for a shell (`kept_pods.py`): DELETE_POD is owed by PodReleased then.

What is signed depends on the stored job alone, and a statement is stored in the transaction that makes the status
public: after a crash before it the same statement is signed again, and after it none is.

What must happen between a whole log and a public status is an effect of its own in `EFFECTS_OF_THE_END`, with a phase
of its own between CONCLUDING and ENDED; the rule of the last such effect's event calls `publish`.
"""

import signal as signals

from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import Decision, IllegalEvent, owing, with_step
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.environment_approvals import closed
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, KeptPod, Phase, Provenance
from danube_pkg.core.jobs.kept_pods import may_keep_pod
from danube_pkg.core.jobs.sealed_records import EGRESS, LOG, attempt_record, file_record, sealed_bytes, with_record
from danube_pkg.core.jobs.steps import StepPhase, describe_failure
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace
from danube_pkg.kit.signals import signal_name

EFFECTS_OF_THE_END = (
    EffectKind.STOP_STEPS,
    EffectKind.CLOSE_LOG,
    EffectKind.SIGN_PROVENANCE,
    EffectKind.DELETE_POD,
)
"""What a job owes when its outcome is decided, in this order, each once the one before is done. The last one is
owed later where the pod is kept."""


SIGNALS_FROM_OUTSIDE = (signals.SIGKILL, signals.SIGTERM, signals.SIGHUP, signals.SIGINT, signals.SIGQUIT)
"""What operators, service managers and the kernel send. A program gets the others by its own fault, as SIGSEGV."""


def conclude(job: Job, status: Status, reason: Reason, message: str) -> Decision:
    """Decide the outcome, once: a job that is ending keeps the one that it has. The status is not public yet."""
    if job.outcome is None:
        job = replace(job, outcome=status, reason=reason, message=message)
    job = replace(job, approvals=closed(job.approvals), phase=Phase.CONCLUDING, generation=job.generation + 1)
    if not may_keep_pod(job):
        return owing(job, *EFFECTS_OF_THE_END)
    return owing(replace(job, kept_pod=KeptPod.KEPT), *EFFECTS_OF_THE_END[:-1])


def end_after_grace(job: Job, status: Status, reason: Reason, message: str, now: float) -> Decision:
    """Decide the outcome of a job from outside of it. Steps that wait for a container end; others are stopped by a task
    that is derived from this state."""
    if job.phase is not Phase.RUNNING or not job.settings.grace_seconds or job.is_ending:
        return conclude(job, status, reason, message)
    until = now + job.settings.grace_seconds
    job = replace(job, outcome=status, reason=reason, message=message, grace_until=until)
    job = replace(job, approvals=closed(job.approvals))
    end = ev.StepEnd(Status.CANCELLED, Reason.CANCELLED, "was not started: its job is ending")
    for step in job.interrupted_steps:
        if step.phase is StepPhase.WAITING:
            records = with_record(job.id, job.records, attempt_record(step, end, now))
            job = with_step(replace(job, records=records), step.ended(end, now))
    return job, ()


def grace_ended(job: Job, event: ev.GraceEnded, now: float) -> Decision:
    """The danubefile did not return in time. Raises IllegalEvent for a job that is not ending."""
    if job.outcome is None:
        raise IllegalEvent(job, event)
    return conclude(job, job.outcome, job.reason, job.message)


def files_sealed(job: Job, event: ev.FilesSealed, now: float) -> Decision:
    """Log and ledger so far become records where they have grown, so that no part of them can be changed later."""
    records = job.records
    for kind, digest in ((LOG, event.log), (EGRESS, event.egress)):
        if digest.size_bytes > sealed_bytes(records, kind):
            records = with_record(job.id, records, file_record(kind, digest))
    return replace(job, records=records), ()


def log_closed(job: Job, event: ev.LogClosed, now: float) -> Decision:
    """The log is whole. Raises IllegalEvent while a step is open: its output would be missing from the log."""
    if job.open_steps:
        raise IllegalEvent(job, event)
    ranges = event.step_ranges
    steps = tuple(
        replace(step, log_begin=ranges[step.sequence][0], log_end=ranges[step.sequence][1])
        if step.sequence in ranges
        else step
        for step in job.steps
    )
    records = with_record(job.id, job.records, file_record(LOG, event.log))
    records = with_record(job.id, records, file_record(EGRESS, event.egress))
    job = replace(job, steps=steps, records=records, phase=Phase.SIGNING, finished_at=now)
    job = without_log(job) if event.is_lost else job
    return (job, ()) if event.is_network_closed or not job.keeps_pod else _released(job)


def signed(job: Job, event: ev.ProvenanceSigned, now: float) -> Decision:
    """The statement is stored together with the public status, and the artifacts are released by it."""
    return publish(replace(job, provenance=Provenance(event.envelope, event.key_id)), event, now)


def signing_failed(job: Job, event: ev.SigningFailed, now: float) -> Decision:
    """Artifacts without provenance are never released, and a job that should have some is not a success."""
    job = replace(job, provenance=Provenance(b"", problem=event.message))
    if job.outcome is Status.SUCCESS:
        message = f"its provenance could not be signed: {event.message}"
        job = replace(job, outcome=Status.FAILURE, reason=Reason.SIGNING_FAILED, message=message)
    return publish(job, event, now)


def without_log(job: Job) -> Job:
    """A job whose log is lost: a success that cannot be shown is none."""
    if job.outcome is not Status.SUCCESS:
        return job
    message = "its log was lost while it ran: another program removed the file"
    return replace(job, outcome=Status.FAILURE, reason=Reason.LOG_LOST, message=message)


def publish(job: Job, event: ev.JobEvent, now: float) -> Decision:
    """The outcome becomes the public status. Raises IllegalEvent where no outcome was decided."""
    if job.outcome is None:
        raise IllegalEvent(job, event)
    return replace(job, phase=Phase.ENDED, status=job.outcome), ()


def pod_released(job: Job, event: ev.PodReleased, now: float) -> Decision:
    """A kept pod is removed; the second of two reasons changes nothing."""
    return _released(job) if job.keeps_pod else (job, ())


def _released(job: Job) -> Decision:
    return owing(replace(job, kept_pod=KeptPod.RELEASED), EffectKind.DELETE_POD)


def pod_deleted(job: Job, event: ev.PodDeleted, now: float) -> Decision:
    """Nothing of the job is left outside of the store, which alone has its records and its statement from now on."""
    return replace(job, phase=Phase.CLOSED, records=(), provenance=None), ()


# --- what decides the outcome


def finished(job: Job, event: ev.Finished, now: float) -> Decision:
    """The coordinator's Finish: a success if the function returned, no step is open, and no checked step failed."""
    for step in job.open_steps:
        if step.sequence != COORDINATOR_SEQUENCE and event.failure is None:
            message = f"step {step.sequence} {step.name!r} was still open when the pipeline function returned"
            return conclude(job, Status.FAILURE, Reason.STEP_OPEN, message)
    cause = job.step(event.failure.step) if event.failure and event.failure.step else None
    failed = [step for step in job.steps if step.sequence != COORDINATOR_SEQUENCE and step.fails_job]
    if cause is not None and cause.fails_job:
        return conclude(job, *describe_failure(cause))
    if event.failure is not None:
        return conclude(job, Status.FAILURE, event.failure.reason, event.failure.message)
    if failed:
        return conclude(job, *describe_failure(failed[0]))
    return conclude(job, Status.SUCCESS, Reason.NONE, "")


def coordinator_ended(job: Job, event: ev.StepEnded, now: float) -> Decision:
    """The coordinator's process ended without a Finish: never a success, whatever its exit code."""
    end = event.end
    if end.reason.ends_containers:
        return conclude(job, Status.FAILURE, end.reason, f"the danubefile's own process is gone: {end.message}")
    if end.reason is Reason.STEP_TIMEOUT:
        return conclude(job, *_too_long(job))
    if end.signal in SIGNALS_FROM_OUTSIDE:
        message = f"the danubefile's process was killed by {signal_name(end.signal)} from outside"
        return conclude(job, Status.FAILURE, Reason.INFRASTRUCTURE_LOST, message)
    how = f"killed by {signal_name(end.signal)}" if end.signal else end.message or f"exit code {end.exit_code}"
    message = f"the danubefile's process left before its pipeline function returned ({how})"
    return conclude(job, Status.FAILURE, Reason.SCRIPT_EXITED, message)


def deadline_passed(job: Job, event: ev.JobEvent, now: float) -> Decision:
    """A job that is ending has its own limit."""
    return (job, ()) if job.is_ending else end_after_grace(job, *_too_long(job), now)


def _too_long(job: Job) -> tuple[Status, Reason, str]:
    """The message names the steps that were running."""
    seconds = job.settings.max_duration_seconds
    running = [step.name for step in job.open_steps if step.sequence != COORDINATOR_SEQUENCE]
    during = f" during {', '.join(repr(name) for name in running[:3])}" if running else ""
    return Status.TIMEOUT, Reason.JOB_TIMEOUT, f"the job took longer than its {seconds} s{during}"


def cancelled(job: Job, event: ev.CancelRequested, now: float) -> Decision:
    """A job that has, or soon has, a pod."""
    job = job if job.is_ending else replace(job, cancelled_by=event.by)
    return end_after_grace(job, Status.CANCELLED, event.reason, _by_whom(event), now)


def cancelled_in_queue(job: Job, event: ev.CancelRequested, now: float) -> Decision:
    """A job that waits has neither pod nor log: it is closed at once and owes nothing."""
    message = f"{_by_whom(event)} before it started"
    return _closed_in_queue(replace(job, cancelled_by=event.by), Status.CANCELLED, event.reason, message, now)


def ref_refused(job: Job, event: ev.RefRefused, now: float) -> Decision:
    """A job without a commit cannot start."""
    return _closed_in_queue(job, Status.FAILURE, Reason.SOURCE_UNAVAILABLE, event.message, now)


def _closed_in_queue(job: Job, status: Status, reason: Reason, message: str, now: float) -> Decision:
    ended = replace(job, status=status, outcome=status, reason=reason, message=message)
    return replace(ended, phase=Phase.CLOSED, finished_at=now), ()


def _by_whom(event: ev.CancelRequested) -> str:
    if event.reason is Reason.DRAINED:
        return f"ended by {event.by}, who drained the server"
    return f"{'superseded' if event.reason is Reason.SUPERSEDED else 'cancelled'} by {event.by}"
