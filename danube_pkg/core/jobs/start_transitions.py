"""Rules from the queue to a running coordinator: commit, approval, admission, source, pod."""

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import Decision, owing, with_step
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.job import (
    COORDINATOR_SEQUENCE,
    Job,
    Phase,
    approval_message,
    initial_reason,
    step_id,
)
from danube_pkg.core.jobs.outcome import conclude
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import proposal_at
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace


def admitted(job: Job, event: ev.Admitted, now: float) -> Decision:
    """From here on the job counts against the limits, and its deadline runs."""
    preparing = replace(
        job,
        phase=Phase.PREPARING,
        status=Status.RUNNING,
        reason=Reason.PREPARING,
        message="",
        pod_id=event.pod_id,
        started_at=now,
        deadline_at=now + job.settings.max_duration_seconds,
    )
    return owing(preparing, EffectKind.CREATE_POD)


def ref_resolved(job: Job, event: ev.RefResolved, now: float) -> Decision:
    """The commit is fixed from here on. The job may start, unless what it names turns out to be of untrusted users."""
    if job.reason is not Reason.RESOLVING:
        return job, ()
    proposal = job.trigger.pull_request or proposal_at(event.revision)
    trigger = replace(job.trigger, revision=event.revision, pull_request=proposal)
    return replace(job, reason=initial_reason(trigger), trigger=trigger), ()


def approved(job: Job, event: ev.Approved, now: float) -> Decision:
    """Only for the commit that the approver has reviewed. Raises Conflict."""
    if job.reason is not Reason.APPROVAL_REQUIRED:
        return no_approval(job, event, now)
    commit_sha = job.trigger.revision.commit_sha
    if event.commit_sha != commit_sha:
        raise Conflict(
            "approval-of-another-commit",
            f"{job.label} is of commit {commit_sha}",
            cause=f"the approval is for {event.commit_sha}",
            hint="review that commit, then approve it",
        )
    trigger = replace(job.trigger, approved_by=event.by)
    return replace(job, reason=Reason.QUEUED, message=approval_message(event.by), trigger=trigger), ()


def no_approval(job: Job, event: ev.Approved, now: float) -> Decision:
    """The rule of an approval for a job that does not wait for one. Raises Conflict."""
    raise Conflict("approval-not-needed", f"{job.label} does not wait for an approval", hint="danube explain JOB")


def source_opened(job: Job, event: ev.SourceOpened, now: float) -> Decision:
    """How the code is read, with which submodules, and what its commit says, where the trigger did not know it."""
    known = job.trigger.revision
    revision = known.described(event.commit_message, event.commit_author)
    if event.commit_sha not in ("", revision.commit_sha):
        revision = replace(revision, commit_sha=event.commit_sha)
    if event.submodules != revision.submodules:
        revision = replace(revision, submodules=event.submodules)
    if job.source_rule == event.rule and revision is known:
        return job, ()
    return replace(job, source_rule=event.rule, trigger=replace(job.trigger, revision=revision)), ()


def pod_ready(job: Job, event: ev.PodReady, now: float) -> Decision:
    """The coordinator's program is the first step, already placed in its container."""
    program = Step(
        id=step_id(job.id, COORDINATOR_SEQUENCE),
        sequence=COORDINATOR_SEQUENCE,
        name=job.settings.script,
        image="",
        phase=StepPhase.PLACED,
        container=event.container,
        requested_at=now,
    )
    running = replace(with_step(job, program), phase=Phase.RUNNING, reason=Reason.NONE)
    return replace(running, egress_enforced_by=event.egress_enforced_by), ()


def pod_failed(job: Job, event: ev.PodFailed, now: float) -> Decision:
    """Without a pod the job fails."""
    return conclude(job, Status.FAILURE, event.reason, event.message)
