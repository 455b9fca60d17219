"""Jobs that must not run beside each other, and jobs that a newer one makes needless."""

from collections.abc import Sequence

from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason

_CAN_BE_SUPERSEDED = frozenset({Phase.QUEUED, Phase.PREPARING, Phase.RUNNING})


def group_of(job: Job) -> str:
    """The concurrency group of a job, "" where it has none. A group's name is one for all pipelines; none named is the pipeline.

    `${branch}` of a job on no branch is its tag, `pull/N` or its ref.
    """
    template = job.settings.concurrency_group
    if template is None:
        return ""
    trigger = job.trigger
    number = pull_request_number(trigger)
    branch = trigger.branch or trigger.tag or (f"pull/{number}" if number is not None else trigger.ref)
    words = {"branch": branch, "ref": trigger.ref, "pull_request": "" if number is None else str(number)}
    for word, value in words.items():
        template = template.replace(f"${{{word}}}", value)
    return f"group {template}" if template else f"pipeline {job.pipeline}"


def pull_request_number(trigger: Trigger) -> int | None:
    """Of which pull request a job is; None where it is of none."""
    number = (trigger.pull_request or {}).get("number")
    return number if isinstance(number, int) else None


def is_unapproved(job: Job) -> bool:
    """Whether it waits until somebody has looked at strangers' code."""
    return job.phase is Phase.QUEUED and job.reason is Reason.APPROVAL_REQUIRED


def superseded(jobs: Sequence[Job]) -> tuple[tuple[str, str], ...]:
    """Jobs that a newer one makes needless, each with the newer one's id, oldest first.

    Where a newer job's group says `cancel_in_progress` that is every older job of it, once the newer one is allowed to run:
    a stranger's proposal ends nothing. And a proposal that nobody has approved goes when its pull request has a newer commit.
    """
    newest: dict[str, str] = {}
    proposals: dict[tuple[str, int], str] = {}
    for job in jobs:
        group, number = group_of(job), pull_request_number(job.trigger)
        if group and job.settings.cancel_in_progress and job.phase in _CAN_BE_SUPERSEDED and not is_unapproved(job):
            newest[group] = max(newest.get(group, ""), job.id)
        if number is not None:
            proposals[job.pipeline_id, number] = max(proposals.get((job.pipeline_id, number), ""), job.id)
    found = []
    for job in sorted(jobs, key=lambda one: one.id):
        by = newest.get(group_of(job), "")
        number = pull_request_number(job.trigger)
        if is_unapproved(job) and number is not None:
            by = max(by, proposals[job.pipeline_id, number])
        if by > job.id and job.phase in _CAN_BE_SUPERSEDED:
            found.append((job.id, by))
    return tuple(found)
