"""Rules of a job that asks for an environment: requested, decided, granted with a slot, expired.

    requested ─▶ WAITING ─decided─▶ APPROVED ─granted─▶ GRANTED        rejected, expired: the job ends
                 └ the pod is frozen, the job holds no slot ┘

The job stays in the phase RUNNING. The time from the request to the grant does not count for its deadline.
"""

from danube_pkg.core.documents.marked import nearest
from danube_pkg.core.errors import Conflict, Forbidden, Invalid, NotFound
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import Decision, IllegalEvent
from danube_pkg.core.jobs.environment_approvals import (
    LONGEST_WAIT_SECONDS,
    MAX_APPROVALS,
    ApprovalState,
    EnvironmentApproval,
    open_approval,
    with_approval,
)
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.outcome import deadline_passed, end_after_grace
from danube_pkg.core.pipelines import Environment
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.globs import matches
from danube_pkg.kit.records import replace


def requested(job: Job, event: ev.EnvironmentRequested, now: float) -> Decision:
    """A repeated call is the same request. Raises Forbidden, NotFound, Invalid and Conflict for one that is refused at
    once."""
    known = next((one for one in job.approvals if one.sequence == event.sequence), None)
    if known is not None:
        return job, ()
    if job.is_ending:
        return refused(job, event, now)
    environment = _environment(job, event.environment)
    _check_ref(job, environment)
    _check_alone(job)
    wait = event.timeout_seconds or environment.timeout_seconds
    _check_wait(job, environment, wait, now)
    approval = EnvironmentApproval(event.sequence, environment.name, requested_at=now, expires_at=now + wait)
    waiting = replace(job, approvals=with_approval(job.approvals, approval))
    message = f"waits for approval of {environment.name}"
    return replace(waiting, reason=Reason.ENVIRONMENT_APPROVAL, message=message), ()


def _environment(job: Job, name: str) -> Environment:
    """What the pipeline declares by that name. Raises Forbidden for a job that may have none, NotFound."""
    if job.trigger.is_untrusted:
        raise Forbidden(
            "environment-of-untrusted-code",
            f"{job.label} may not ask for the environment {name!r}",
            cause="its code is a proposal's, of authors who may not push to the repository",
            hint="ask for it in a job of a branch or tag: if ctx.pull_request is None",
        )
    if job.trigger.rebuild is not None:
        raise Forbidden(
            "environment-of-rebuild",
            f"{job.label} may not ask for the environment {name!r}",
            cause="it is a rebuild, which only compares what it builds",
            hint="rebuild what a job builds before it deploys: a pipeline of its own",
        )
    found = job.settings.environment_named(name)
    if job.settings.approved_locally:
        return replace(found or Environment(name), refs=())
    if found is not None:
        return found
    known = [one.name for one in job.settings.environments]
    raise NotFound(
        "environment-unknown",
        f"pipeline {job.pipeline} has no environment {name!r}",
        hint=nearest(name, known)
        if known
        else f"in the pipeline's YAML: environments: {{{name}: {{approvers: [TEAM]}}}}",
    )


def _check_ref(job: Job, environment: Environment) -> None:
    """Raises Forbidden for a ref that the environment does not allow."""
    revision = job.trigger.revision
    texts = (revision.branch, revision.full_ref)
    if environment.refs and not any(
        matches(pattern, texts[pattern.startswith("refs/")]) for pattern in environment.refs
    ):
        raise Forbidden(
            "environment-ref",
            f"jobs of {revision.name or 'no branch'} may not ask for the environment {environment.name!r}",
            cause=f"it is for {', '.join(environment.refs)}",
            hint="ask for it on these refs only, or change environments in the pipeline's YAML",
        )


def _check_alone(job: Job) -> None:
    """Raises Conflict while the job does something else: its processes are frozen while it waits."""
    if (other := open_approval(job.approvals)) is not None:
        what = f"{job.label} already waits for approval of {other.environment}"
        raise Conflict("approval-at-once", what, hint="call approval() once at a time, outside of threads")
    steps = [step for step in job.open_steps if step.sequence != COORDINATOR_SEQUENCE]
    if steps:
        raise Conflict(
            "approval-with-open-steps",
            f"approval() was called while {', '.join(repr(step.name) for step in steps[:3])} runs",
            cause="the pod is frozen while the job waits",
            hint="wait for every step before: handle.wait() or handle.stop(), or leave the block of step.parallel()",
        )
    if len(job.approvals) >= MAX_APPROVALS:
        raise Conflict("too-many-approvals", f"a job has at most {MAX_APPROVALS} approvals", hint="ask once for each")


def _check_wait(job: Job, environment: Environment, wait: int, now: float) -> None:
    if wait > environment.timeout_seconds:
        raise Invalid(
            "approval-timeout",
            f"approval({environment.name!r}) may wait for {environment.timeout_seconds} s, not for {wait} s",
            cause="the pipeline's YAML bounds it: timeout_seconds of the environment",
            hint="ask for less, or raise timeout_seconds there",
        )
    before = sum((one.decided_at or one.requested_at) - one.requested_at for one in job.approvals)
    if before + wait > LONGEST_WAIT_SECONDS:
        what = f"all approvals of a job together wait for at most {LONGEST_WAIT_SECONDS // 86400} days"
        raise Invalid("approval-timeout", what, hint='give each a bound: approval("production", timeout_seconds=86400)')


def refused(job: Job, event: ev.EnvironmentRequested, now: float) -> Decision:
    """The rule of a request that comes after the job's outcome was decided. Raises Conflict."""
    what = f"{job.label} is ending and asks for no environment"
    raise Conflict("job-ending", what, cause=job.message, hint="danube explain JOB")


def decided(job: Job, event: ev.EnvironmentDecided, now: float) -> Decision:
    """A user's decision, which is stored before anything of the environment appears. Raises Conflict."""
    approval = open_approval(job.approvals)
    if approval is None or approval.sequence != event.sequence or approval.state is not ApprovalState.WAITING:
        return not_waiting(job, event, now)
    state = ApprovalState.APPROVED if event.approve else ApprovalState.REJECTED
    after = replace(approval, state=state, decided_by=event.by, decided_at=now, reason=event.reason)
    job = replace(job, approvals=with_approval(job.approvals, after))
    why = f": {event.reason}" if event.reason else ""
    if event.approve:
        return replace(job, message=f"approval of {after.environment} by {event.by}; waits for a slot"), ()
    message = f"approval of {after.environment} was rejected by {event.by}{why}"
    return end_after_grace(job, Status.FAILURE, Reason.ENVIRONMENT_REJECTED, message, now)


def not_waiting(job: Job, event: ev.EnvironmentDecided, now: float) -> Decision:
    """The rule of a decision that no job waits for. Raises Conflict."""
    known = next((one for one in job.approvals if one.sequence == event.sequence), None)
    raise Conflict(
        "environment-approval-not-needed",
        f"{job.label} does not wait for this approval",
        cause=f"it is {known.state}{f' by {known.decided_by}' if known.decided_by else ''}" if known else "",
        hint="danube explain JOB shows what it waits for",
    )


def granted(job: Job, event: ev.EnvironmentGranted, now: float) -> Decision:
    """The job has a slot again and continues; its deadline is later by the whole wait."""
    approval = open_approval(job.approvals)
    if approval is None or approval.sequence != event.sequence:
        return job, ()
    if approval.state is not ApprovalState.APPROVED:
        raise IllegalEvent(job, event)
    approvals = with_approval(job.approvals, replace(approval, state=ApprovalState.GRANTED))
    deadline_at = job.deadline_at + (now - approval.requested_at) if job.deadline_at is not None else None
    return replace(job, approvals=approvals, deadline_at=deadline_at, reason=Reason.NONE, message=""), ()


def expired(job: Job, event: ev.EnvironmentExpired, now: float) -> Decision:
    """No user has decided in time. A decision that was stored before counts."""
    approval = open_approval(job.approvals)
    if approval is None or approval.sequence != event.sequence or approval.state is not ApprovalState.WAITING:
        return job, ()
    seconds = round(approval.expires_at - approval.requested_at)
    job = replace(job, approvals=with_approval(job.approvals, replace(approval, state=ApprovalState.EXPIRED)))
    message = f"no user approved {approval.environment} within {seconds} s"
    return end_after_grace(job, Status.TIMEOUT, Reason.ENVIRONMENT_TIMEOUT, message, now)


def deadline_reached(job: Job, event: ev.DeadlinePassed, now: float) -> Decision:
    """A wait for an approval does not count for the deadline, and has its own."""
    return (job, ()) if job.waits_for_approval else deadline_passed(job, event, now)
