"""Why a job is as it is, in sentences, from what is seen to what is behind it."""

from collections.abc import Sequence

from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.queue import Obstacle, QueuePosition
from danube_pkg.core.jobs.steps import StepPhase, describe_end
from danube_pkg.core.reasons import HINTS, Status
from danube_pkg.kit.records import Record

MAX_NAMED = 5
"""Jobs that are named as blockers; the count says how many there are."""


class Explained(Record):
    """hint: the next thing to do, "" where there is nothing. position: in the queue, 1 is next; 0 where it is in no order.
    waits_for: what keeps it from starting."""

    lines: tuple[str, ...]
    hint: str = ""
    position: int = 0
    waits_for: Obstacle | None = None


def about(job: Job) -> str:
    """What a job is of, in a sentence: pipeline, branch, commit, and what that says of itself. "" where nothing is known."""
    trigger = job.trigger
    if not trigger.commit_sha:
        return ""
    where = trigger.branch or trigger.tag or trigger.ref
    words = f": {trigger.commit_message}" if trigger.commit_message else ""
    author = f", by {trigger.commit_author}" if trigger.commit_author else ""
    return f"{job.pipeline}, commit {trigger.commit_sha[:12]}{f' on {where}' if where else ''}{author}{words}"


def explain(job: Job, waiting: QueuePosition | None, draining_by: str) -> Explained:
    """waiting: of a job that waits. draining_by: who drains the server, "" where nobody does."""
    if job.phase is Phase.QUEUED and waiting is not None:
        return _waiting(job, waiting, draining_by)
    if not job.status.ended:
        return _running(job)
    return _ended(job)


def _waiting(job: Job, waiting: QueuePosition, draining_by: str) -> Explained:
    if waiting.obstacle is Obstacle.APPROVAL:
        source = (job.trigger.pull_request or {}).get("source_repository") or "a fork"
        lines: tuple[str, ...] = (
            "The job waits for an approval.",
            f"It is of commit {job.trigger.commit_sha[:12]} of {source}, and nobody with write has approved that commit.",
        )
        return Explained(lines, f"danube approve {job.id} {job.trigger.commit_sha}", 0, waiting.obstacle)
    first = f"The job waits in the queue; it is number {waiting.position} in the order of starting."
    if draining_by:
        lines = (first, f"{draining_by} is draining the server: nothing starts.")
        return Explained(lines, "danube resume", waiting.position, waiting.obstacle)
    lines = (first, _obstacle(job, waiting))
    return Explained(lines, _way_out(waiting) or f"danube logs -f {job.id}", waiting.position, waiting.obstacle)


def _obstacle(job: Job, waiting: QueuePosition) -> str:
    blockers = _named(waiting.blockers)
    match waiting.obstacle:
        case Obstacle.GROUP:
            return f"At most one job of its concurrency {waiting.group} runs, and that is {blockers}."
        case Obstacle.PIPELINE_LIMIT:
            return f"{job.pipeline} has {_count(waiting.limit, 'place')} of its own (max_concurrent_jobs), taken by {blockers}."
        case Obstacle.SERVER_LIMIT:
            return f"The server has {_count(waiting.limit, 'place')} (max_concurrent_jobs), taken by {blockers}."
    return "A place is free; it starts in a moment."


def _way_out(waiting: QueuePosition) -> str:
    if waiting.obstacle is Obstacle.GROUP and waiting.blockers:
        return f"danube explain {waiting.blockers[0].id}"
    return ""


def _named(jobs: Sequence[Job]) -> str:
    names = [f"{one.pipeline} ({one.id})" for one in jobs[:MAX_NAMED]]
    more = f" and {len(jobs) - MAX_NAMED} more" if len(jobs) > MAX_NAMED else ""
    return f"{', '.join(names)}{more}" if names else "nobody any more"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _running(job: Job) -> Explained:
    if job.phase is Phase.PREPARING:
        return Explained(("The job's pod is being made.",), f"danube logs -f {job.id}")
    steps = [step for step in job.open_steps if step.sequence != COORDINATOR_SEQUENCE]
    lines = [f"The job is running: {_count(len(steps), 'step')} {'is' if len(steps) == 1 else 'are'} open."]
    for step in steps[:10]:
        where = "runs" if step.phase is StepPhase.STARTED else "waits for its container"
        lines.append(f"Step {step.sequence} {step.name!r} {where}.")
    return Explained(tuple(lines), f"danube logs -f {job.id}")


def _ended(job: Job) -> Explained:
    if job.status is Status.SUCCESS:
        count = sum(step.sequence != COORDINATOR_SEQUENCE for step in job.steps)
        return Explained((f"The job succeeded: {_count(count, 'step')}, each with a record of its end.",))
    lines = [f"The job ended as {job.status}{f' ({job.reason})' if job.reason else ''}."]
    if job.message:
        lines.append(f"{job.message[0].upper()}{job.message[1:]}.")
    for step in job.steps:
        if step.is_red and step.end is not None and step.sequence != COORDINATOR_SEQUENCE:
            sentence = f"Step {step.sequence} {step.name!r} {describe_end(step.end)}."
            if sentence.lower() not in (line.lower() for line in lines):
                lines.append(sentence)
    if job.cancelled_by:
        lines.append(f"It was ended by {job.cancelled_by}.")
    return Explained(tuple(lines), HINTS.get(job.reason, ""))
