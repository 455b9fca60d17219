"""The outbox: what Danube owes the world about its jobs, written down in the transaction that changed the job.

An entry has a target: one commit's status under one name, or one receiver. Entries of one target are delivered in order,
at least once; of statuses only the newest is. A channel is what several targets share: a forge, a mail server, a host.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record, field

KEEP_SECONDS = 7 * 86400
"""How long a delivered entry is kept, for whoever wonders whether something was told."""

GIVE_UP_SECONDS = 86400.0
"""A day: a forge or mail server that is away longer than that is a matter for people, and what it would say is old."""


FIRST_RETRY_SECONDS = 1.0
RETRY_CAP_SECONDS = 300.0
"""Five minutes: a forge that is back is told soon, one that is away is not hammered."""


def longest_wait(attempts: int) -> float:
    """Before the next try, after so many in vain; in seconds."""
    return min(RETRY_CAP_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempts, 20))


class OutboxKind(StrEnum):
    """What is told to whom."""

    STATUS = "status"
    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"


class JobNotification(Record):
    """What there is to tell of a job, as it was when it changed. Times are Unix seconds."""

    job_id: str
    pipeline: str
    status: Status
    reason: str
    message: str
    repository: str
    commit_sha: str
    ref: str
    trigger: str
    actor: str
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    pull_request: Mapping[str, Any] | None = None


class OutboxEntry(Record):
    """id: 0 until it is stored; ids grow in the order in which things happened.

    address: how the receiver is reached, names of secrets included and none of their values. only_after_failure: told only
    if the job before it of that pipeline and ref did not succeed. next_at: not before; problem: why the last try failed.
    """

    kind: OutboxKind
    target: str
    channel: str
    news: JobNotification
    created_at: float
    address: Mapping[str, Any] = field(default_factory=dict)
    only_after_failure: bool = False
    id: int = 0
    attempts: int = 0
    next_at: float = 0.0
    problem: str = ""


def notification_of(job: Job) -> JobNotification:
    """A job as others are told of it."""
    trigger = job.trigger
    return JobNotification(
        job_id=job.id,
        pipeline=job.pipeline,
        status=job.status,
        reason=str(job.reason),
        message=job.message,
        repository=job.settings.repository,
        commit_sha=trigger.revision.commit_sha,
        ref=trigger.revision.ref,
        trigger=trigger.type,
        actor=trigger.actor,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        pull_request=dict(trigger.pull_request) if trigger.pull_request is not None else None,
    )
