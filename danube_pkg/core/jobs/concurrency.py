"""Concurrency groups: jobs that must not run at the same time, and jobs that a newer one supersedes."""

from collections.abc import Sequence

from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.urls import canonical

_CAN_BE_SUPERSEDED = frozenset({Phase.QUEUED, Phase.PREPARING, Phase.RUNNING})


def group_of(job: Job) -> str:
    """The concurrency group of a job, "" where it has none. Pipelines that name the same group share it; a group
    without a name is the pipeline's own.

    `${branch}` of a job without a branch is its tag, its pull request or its ref. A pull request is `REPOSITORY#N`: its
    number alone would name those of other repositories too, in a group that their pipelines share.
    """
    template = job.settings.concurrency_group
    if template is None:
        return ""
    trigger = job.trigger
    number = pull_request_number(trigger)
    revision = trigger.revision
    pull_request = "" if number is None else f"{canonical(job.settings.repository)}#{number}"
    branch = revision.branch or revision.tag or pull_request or revision.ref
    words = {"branch": branch, "ref": revision.ref, "pull_request": pull_request}
    for word, value in words.items():
        template = template.replace(f"${{{word}}}", value)
    return f"group {template}" if template else f"pipeline {job.pipeline}"


def pull_request_number(trigger: Trigger) -> int | None:
    """The number of the pull request that a trigger is of; None for any other trigger."""
    number = (trigger.pull_request or {}).get("number")
    return number if isinstance(number, int) else None


def is_unapproved(job: Job) -> bool:
    """Whether it waits for an approval of its untrusted code."""
    return job.phase is Phase.QUEUED and job.reason is Reason.APPROVAL_REQUIRED


def is_unresolved(job: Job) -> bool:
    """Whether the commit of its ref is not known yet, nor its branch where the ref is the default one."""
    return job.phase is Phase.QUEUED and job.reason is Reason.RESOLVING


def may_start(job: Job) -> bool:
    """Whether it waits for nothing but its turn."""
    return job.phase is Phase.QUEUED and not is_unapproved(job) and not is_unresolved(job)


def superseded_jobs(jobs: Sequence[Job]) -> tuple[tuple[str, str], ...]:
    """Jobs that a newer one supersedes, each with the newer one's id, oldest first.

    In a group with `cancel_in_progress` each older job, as soon as the newer one may run: untrusted code without an
    approval ends nothing. A job that waits for an approval, when its pull request has a newer commit. The group of a
    job may not be known before its commit.
    """
    newest: dict[str, str] = {}
    proposals: dict[tuple[str, int], str] = {}
    resolved = [job for job in jobs if not is_unresolved(job)]
    for job in resolved:
        group, number = group_of(job), pull_request_number(job.trigger)
        if group and job.settings.cancel_in_progress and job.phase in _CAN_BE_SUPERSEDED and not is_unapproved(job):
            newest[group] = max(newest.get(group, ""), job.id)
        if number is not None:
            proposals[job.pipeline_id, number] = max(proposals.get((job.pipeline_id, number), ""), job.id)
    found = []
    for job in sorted(resolved, key=lambda one: one.id):
        by = newest.get(group_of(job), "")
        number = pull_request_number(job.trigger)
        if is_unapproved(job) and number is not None:
            by = max(by, proposals[job.pipeline_id, number])
        if by > job.id and job.phase in _CAN_BE_SUPERSEDED:
            found.append((job.id, by))
    return tuple(found)
