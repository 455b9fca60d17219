"""The outbox: commit statuses and notifications that must be delivered, stored in the transaction that changed the job.

An entry has a target: one commit's status under one name, or one receiver. Entries of one target are delivered in order
and at least once; of commit statuses only the newest. Targets that share a forge, a mail server or a host share a
channel.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.reports import summary_of_tests
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record, field

KEEP_SECONDS = 7 * 86400
"""How long a delivered entry is kept, so that operators can check whether something was sent."""

GIVE_UP_SECONDS = 86400.0
"""A day: when a forge or mail server is unreachable for longer, operators must act, and the message is out of date."""

FIRST_RETRY_SECONDS = 1.0
RETRY_CAP_SECONDS = 300.0
"""Five minutes: short enough for a forge that has recovered, long enough to spare one that is unreachable."""


LONGEST_PAUSE_SECONDS = 3700.0
"""More than any pause before an attempt, a forge's included. A later time was stored by a clock that was ahead."""


def longest_wait(attempts: int) -> float:
    """The longest pause before the next attempt, in seconds, after so many failed ones."""
    return min(RETRY_CAP_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempts, 20))


class OutboxKind(StrEnum):
    """What is sent, which decides how."""

    STATUS = "status"
    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"


class JobNotification(Record):
    """A job as it was when it changed: what messages are made of. Times are Unix seconds."""

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
    tests: str = ""
    """What it has reported of its tests, as a sentence; "" for nothing."""
    approval: int = 0
    """The sequence of the newest approval of an environment that it has asked for; 0 for none. It tells its waits
    apart."""


class OutboxEntry(Record):
    """One message to one target. id: 0 until it is stored; ids grow in the order of the changes.

    address: how the receiver is reached; it may name secrets and never holds their values. only_after_failure: sent
    only if the job before it, of the same pipeline and ref, did not succeed. created_at, next_at: Unix seconds; it is
    not tried before `next_at`. problem: why the last attempt failed. recovered: a success whose job
    before it did not succeed; it is known only when the entry is delivered.
    """

    kind: OutboxKind
    target: str
    channel: str
    notification: JobNotification
    created_at: float
    address: Mapping[str, Any] = field(default_factory=dict)
    only_after_failure: bool = False
    id: int = 0
    attempts: int = 0
    next_at: float = 0.0
    problem: str = ""
    recovered: bool = False


def notification_of(job: Job) -> JobNotification:
    """The notification about a job as it is now."""
    trigger = job.trigger
    return JobNotification(
        job_id=job.id,
        pipeline=job.pipeline,
        status=job.status,
        reason=str(job.reason),
        message=job.message,
        repository=job.settings.repository,
        commit_sha=trigger.revision.commit_sha,
        ref=trigger.revision.full_ref,
        trigger=trigger.type,
        actor=trigger.actor,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        pull_request=dict(trigger.pull_request) if trigger.pull_request is not None else None,
        tests=summary_of_tests(job.reports),
        approval=max((one.sequence for one in job.approvals), default=0),
    )
