"""Why a job waits, runs or failed, in sentences, from the symptom to its cause."""

from collections.abc import Sequence

from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval, open_approval
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.queue import Obstacle, QueuePosition
from danube_pkg.core.jobs.reports import summary_of_tests
from danube_pkg.core.jobs.steps import Step, StepPhase, StepStatus, describe_end
from danube_pkg.core.reasons import HINTS, Status
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import iso

GREEN = (StepStatus.SUCCESS, StepStatus.RESTORED)

MAX_REPEATED = 50
"""Steps of a job that repeats another that are named; the log has all of them."""

MAX_NAMED = 5
"""Blocking jobs that are named; the others are counted."""


class Diagnosis(Record):
    """hint: a command to run next, "" where there is none. position: in the queue, 1 is next; 0 for a job that is not
    in the order of starting. waits_for: what keeps it from starting."""

    lines: tuple[str, ...]
    hint: str = ""
    position: int = 0
    waits_for: Obstacle | None = None


def summary_of(job: Job) -> str:
    """Pipeline, commit, branch, author and message in one line; "" for a job without a commit."""
    revision = job.trigger.revision
    if not revision.commit_sha:
        return ""
    where = f" on {revision.name}" if revision.name else ""
    message = f": {revision.commit_message}" if revision.commit_message else ""
    author = f", by {revision.commit_author}" if revision.commit_author else ""
    return f"{job.pipeline}, commit {revision.commit_sha[:12]}{where}{author}{message}"


def explain(
    job: Job,
    waiting: QueuePosition | None,
    draining_by: str,
    outside: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Diagnosis:
    """waiting: for a job that waits. draining_by: the user who drains the server, "" where it is not draining.
    outside: sentences about what the job waits for outside of the server's queue. notes: about what it has reported."""
    if job.phase is Phase.QUEUED and waiting is not None:
        return _waiting(job, waiting, draining_by, outside)
    if not job.status.ended:
        return _running(job, outside)
    return _ended(job, notes)


def _waiting(job: Job, waiting: QueuePosition, draining_by: str, outside: Sequence[str]) -> Diagnosis:
    if waiting.obstacle is Obstacle.COMMIT:
        ref = job.trigger.revision.ref
        named = f"of {ref}" if ref else "of the default branch"
        text = f"The commit {named} is being looked up in {without_login(job.settings.repository)}."
        return Diagnosis((text, *outside), f"danube cancel {job.id}", 0, waiting.obstacle)
    if waiting.obstacle is Obstacle.APPROVAL:
        commit_sha = job.trigger.revision.commit_sha
        pull_request = job.trigger.pull_request or {}
        source = pull_request.get("source_repository") or "a fork"
        lines: tuple[str, ...] = (
            "The job waits for an approval.",
            f"It runs commit {commit_sha[:12]} of {source}, which no user with write access has approved.",
        )
        if why := pull_request.get("why_untrusted"):
            lines += (f"It is not trusted, because {why}.",)
        return Diagnosis(lines, f"danube approve {job.id} {commit_sha}", 0, waiting.obstacle)
    first = f"The job waits in the queue; it is number {waiting.position} in the order of starting."
    if draining_by:
        lines = (first, f"{draining_by} is draining the server: no job starts.")
        return Diagnosis(lines, "danube resume", waiting.position, waiting.obstacle)
    lines = (first, _obstacle(job, waiting))
    return Diagnosis(lines, _way_out(waiting) or f"danube logs -f {job.id}", waiting.position, waiting.obstacle)


def _obstacle(job: Job, waiting: QueuePosition) -> str:
    blockers = _named(waiting.blockers)
    match waiting.obstacle:
        case Obstacle.GROUP:
            return f"At most one job of its concurrency {waiting.group} runs at a time; now {blockers}."
        case Obstacle.PIPELINE_LIMIT:
            return f"{job.pipeline} may run {_count(waiting.limit, 'job')} at a time (max_concurrent_jobs); now {blockers}."
        case Obstacle.SERVER_LIMIT:
            return f"The server may run {_count(waiting.limit, 'job')} at a time (max_concurrent_jobs); now {blockers}."
        case Obstacle.DISK:
            return f"The server starts no job, because {waiting.held_by}."
    return "Nothing is in its way; it starts in a moment."


def _way_out(waiting: QueuePosition) -> str:
    if waiting.obstacle is Obstacle.GROUP and waiting.blockers:
        return f"danube explain {waiting.blockers[0].id}"
    return waiting.hint


def _named(jobs: Sequence[Job]) -> str:
    names = [f"{one.pipeline} ({one.id})" for one in jobs[:MAX_NAMED]]
    more = f" and {len(jobs) - MAX_NAMED} more" if len(jobs) > MAX_NAMED else ""
    return f"{', '.join(names)}{more}" if names else "none any more"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _running(job: Job, outside: Sequence[str]) -> Diagnosis:
    if job.phase is Phase.PREPARING:
        return Diagnosis(("The job's pod is being created.", *outside), f"danube logs -f {job.id}")
    if job.waits_for_approval and (approval := open_approval(job.approvals)) is not None:
        return _awaiting(job, approval, outside)
    steps = [step for step in job.open_steps if step.sequence != COORDINATOR_SEQUENCE]
    lines = [f"The job is running: {_count(len(steps), 'step')} {'is' if len(steps) == 1 else 'are'} open."]
    for step in steps[:10]:
        where = "runs" if step.phase is StepPhase.STARTED else "waits for its container"
        if step.phase is StepPhase.WAITING and step.next_attempt_at is not None:
            where = f"waits {step.retry_delay_seconds} s before attempt {step.attempt}"
        lines.append(f"Step {step.sequence} {step.name!r} {where}.")
    if job.is_ending:
        text = f"It is ending, with at most {job.settings.grace_seconds} s for clean-up: {job.message}."
        return Diagnosis((text, *lines, *outside), f"danube cancel {job.id}")
    return Diagnosis((*lines, *outside), f"danube logs -f {job.id}")


def _awaiting(job: Job, approval: EnvironmentApproval, outside: Sequence[str]) -> Diagnosis:
    """A job that waits in its middle: for a decision, or behind it for a slot."""
    if approval.state is ApprovalState.APPROVED:
        behind = (
            f"{approval.decided_by} approved the environment {approval.environment}.",
            "The job continues as soon as a slot of max_concurrent_jobs is free.",
        )
        return Diagnosis((*behind, *outside), f"danube logs -f {job.id}")
    environment = job.settings.environment_named(approval.environment)
    who = ", ".join(environment.approvers) if environment is not None else "the user of this run"
    lines: tuple[str, ...] = (
        f"The job waits for approval of the environment {approval.environment}, since {iso(approval.requested_at)}.",
        f"It may be approved by {who}, until {iso(approval.expires_at)}.",
    )
    if environment is not None and not environment.self_approval:
        lines += (f"It was started by {job.trigger.actor}, who may not approve it.",)
    return Diagnosis((*lines, *outside), f"danube approve {job.id}")


def _ended(job: Job, notes: Sequence[str]) -> Diagnosis:
    if job.status is Status.SUCCESS:
        count = sum(step.sequence != COORDINATOR_SEQUENCE for step in job.steps)
        first = f"The job succeeded: {_count(count, 'step')}, each with an authentic record of its end."
        return Diagnosis((first, *_restored(job), *_tests(job), *notes))
    lines = [f"The job ended as {job.status}{f' ({job.reason})' if job.reason else ''}."]
    if job.message:
        lines.append(f"{job.message[0].upper()}{job.message[1:]}.")
    for step in job.steps:
        if step.fails_job and step.end is not None and step.sequence != COORDINATOR_SEQUENCE:
            sentence = f"Step {step.sequence} {step.name!r} {describe_end(step.end)}."
            if sentence.lower() not in (line.lower() for line in lines):
                lines.append(sentence)
    lines += [*_restored(job), *_tests(job), *notes]
    if job.cancelled_by:
        lines.append(f"It was ended by {job.cancelled_by}.")
    if job.kept_until is not None:
        lines.append(f"Its pod is kept until {iso(job.kept_until)}: danube shell {job.id}.")
    return Diagnosis(tuple(lines), HINTS.get(job.reason, ""))


def _restored(job: Job) -> list[str]:
    """Which steps were taken from other jobs, and in a job that repeats another's failed steps, what became of each."""
    steps = [step for step in job.steps if step.sequence != COORDINATOR_SEQUENCE]
    if not job.trigger.failed_steps:
        return [_of_repeated(step) for step in steps if step.restored_from][:MAX_REPEATED]
    return [f"It repeats the failed steps of job {job.trigger.rerun_of}.", *map(_of_repeated, steps[:MAX_REPEATED])]


def _of_repeated(step: Step) -> str:
    name = f"Step {step.sequence} {step.name!r}"
    if step.restored_from:
        return f"{name} was restored from job {step.restored_from}, whose signed records have its success."
    if step.before in GREEN:
        return f"{name} was green before and ran again."
    return f"{name} ran again: it was {step.before} before." if step.before else f"{name} ran."


def _tests(job: Job) -> list[str]:
    """What the danubefile has reported of its tests, also those of a green job."""
    summary = summary_of_tests(job.reports)
    return [f"{summary}."] if summary else []
