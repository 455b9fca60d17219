"""Why a job is as it is, in sentences, from what is seen to what is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from danube_pkg.core.jobs import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.queue import HOLDS_A_PLACE
from danube_pkg.core.reasons import HINTS, Reason, Status
from danube_pkg.core.steps import StepPhase, describe_end


@dataclass(frozen=True, slots=True)
class Explained:
    """`hint`: the next thing to do, "" where there is nothing."""

    lines: tuple[str, ...]
    hint: str = ""


def explain(job: Job, open_jobs: Sequence[Job], max_concurrent_jobs: int, draining_by: str) -> Explained:
    """`open_jobs`: all that are not closed; `draining_by`: who drains the server, "" where nobody does."""
    if job.phase is Phase.QUEUED:
        return _waiting(job, open_jobs, max_concurrent_jobs, draining_by)
    if not job.status.ended:
        return _running(job)
    return _ended(job)


def _waiting(job: Job, open_jobs: Sequence[Job], most: int, draining_by: str) -> Explained:
    if job.reason is Reason.APPROVAL_REQUIRED:
        lines = (
            "The job waits for an approval.",
            f"It is of commit {job.trigger.commit_sha[:12]} of a fork, and nobody with write has approved that commit.",
        )
        return Explained(lines, f"danube approve {job.id} {job.trigger.commit_sha}")
    if draining_by:
        return Explained(("The job waits in the queue.", f"{draining_by} is draining the server."), "danube resume")
    holding = [one for one in open_jobs if one.phase in HOLDS_A_PLACE]
    before = [
        one
        for one in open_jobs
        if one.phase is Phase.QUEUED and one.id < job.id and one.reason is not Reason.APPROVAL_REQUIRED
    ]
    names = ", ".join(f"{one.pipeline} ({one.id})" for one in sorted(holding, key=lambda one: one.id)[:5])
    lines = (
        f"The job waits in the queue; {len(before)} jobs are before it.",
        f"All {most} places (max_concurrent_jobs) are taken by: {names}."
        if len(holding) >= most
        else "A place is free; it starts in a moment.",
    )
    return Explained(lines, f"danube logs -f {job.id}")


def _running(job: Job) -> Explained:
    if job.phase is Phase.PREPARING:
        return Explained(("The job's pod is being made.",), f"danube logs -f {job.id}")
    steps = [step for step in job.open_steps if step.sequence != COORDINATOR_SEQUENCE]
    lines = [f"The job is running: {len(steps)} steps are open."]
    for step in steps[:10]:
        where = "runs" if step.phase is StepPhase.STARTED else "waits for its container"
        lines.append(f"Step {step.sequence} {step.name!r} {where}.")
    return Explained(tuple(lines), f"danube logs -f {job.id}")


def _ended(job: Job) -> Explained:
    if job.status is Status.SUCCESS:
        count = sum(step.sequence != COORDINATOR_SEQUENCE for step in job.steps)
        return Explained((f"The job succeeded: each of its {count} steps has a record of its end.",))
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
