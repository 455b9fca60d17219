"""Who is told what when a job changes: its commit's status, notifications, and pipelines that wait for its end. Pure.

`follow_up_of` compares a job before and after a change. What it says is stored in the same transaction as the change.
"""

from collections.abc import Iterator, Mapping, Sequence

from danube_pkg.core.configuration.notifications import (
    EmailNotification,
    Notification,
    Occasion,
    SlackNotification,
    WebhookNotification,
)
from danube_pkg.core.configuration.state import State
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.notifications.outbox import (
    JobNotification,
    OutboxEntry,
    OutboxKind,
    notification_of,
)
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.forges import CommitState, CommitStatus, forge_project
from danube_pkg.core.triggers.inbox import EntrySource, InboxEntry, PipelineEnded
from danube_pkg.core.triggers.matching import PipelineIndex, Skip
from danube_pkg.kit.records import Record

SKIPPED = "skipped"
"""The reason of news that is of no job: its pipeline had nothing to do."""


class FollowUp(Record):
    """What is owed because of one change."""

    inbox: tuple[InboxEntry, ...] = ()
    outbox: tuple[OutboxEntry, ...] = ()


NO_FOLLOW_UP = FollowUp()


def merged_follow_ups(*parts: FollowUp) -> FollowUp:
    """All of them, in that order."""
    return FollowUp(
        tuple(one for part in parts for one in part.inbox), tuple(one for part in parts for one in part.outbox)
    )


def follow_up_of(before: Job | None, after: Job, state: State, index: PipelineIndex, now: float) -> FollowUp:
    """before: None for a new job. index: of the state's pipelines."""
    outbox: list[OutboxEntry] = []
    news = notification_of(after)
    if before is None or commit_status(notification_of(before), "") != commit_status(news, ""):
        outbox += _status(news, state, now)
    if not after.status.ended or (before is not None and before.status.ended):
        return FollowUp((), tuple(outbox)) if outbox else NO_FOLLOW_UP
    definition = state.pipelines.get(after.pipeline)
    own: Sequence[Notification] = definition.spec.notifications if definition is not None else ()
    for notification in dict.fromkeys((*state.config.notifications, *own)):
        outbox += _notification(notification, news, state, now)
    # A proposal's job starts nothing: what follows, a deployment say, trusts the code that it is given.
    follows = index.is_waited_for(after.pipeline) and after.trigger.pull_request is None
    return FollowUp((_ended(after, now),) if follows else (), tuple(outbox))


def follow_up_of_skip(skip: Skip, pipeline: Pipeline, state: State, now: float) -> FollowUp:
    """That a check which somebody may wait for has nothing to do."""
    trigger = skip.trigger
    news = JobNotification(
        job_id="",
        pipeline=pipeline.name,
        status=Status.SUCCESS,
        reason=SKIPPED,
        message=skip.why,
        repository=pipeline.settings.repository,
        commit_sha=trigger.revision.commit_sha,
        ref=trigger.revision.ref,
        trigger=trigger.type,
        actor=trigger.actor,
        created_at=now,
        finished_at=now,
        pull_request=trigger.pull_request,
    )
    return FollowUp((), tuple(_status(news, state, now))) if skip.reported else NO_FOLLOW_UP


_STATES: Mapping[Status, CommitState] = {
    Status.PENDING: CommitState.PENDING,
    Status.RUNNING: CommitState.RUNNING,
    Status.SUCCESS: CommitState.SUCCESS,
    Status.FAILURE: CommitState.FAILURE,
    Status.CANCELLED: CommitState.CANCELLED,
    Status.TIMEOUT: CommitState.FAILURE,
}


def commit_status(news: JobNotification, external_url: str) -> CommitStatus:
    """The status that a job gives its commit: what it is, why, and where to read more."""
    url = f"{external_url.rstrip('/')}/jobs/{news.job_id}" if external_url and news.job_id else ""
    return CommitStatus(_STATES[news.status], f"danube/{news.pipeline}", _description(news), url, news.ref)


def _description(news: JobNotification) -> str:
    took = ""
    if news.started_at is not None and news.finished_at is not None:
        took = f" after {max(0, round(news.finished_at - news.started_at))} s"
    match news.status:
        case Status.PENDING if news.reason == Reason.APPROVAL_REQUIRED:
            return "waits for the approval of this commit by somebody with write"
        case Status.PENDING:
            return "waits in the queue"
        case Status.RUNNING:
            return "is running"
        case Status.SUCCESS if news.reason == SKIPPED:
            return f"skipped: {news.message}"
        case Status.SUCCESS:
            return f"succeeded{took}"
    how = {Status.FAILURE: "failed", Status.TIMEOUT: "took too long and was ended"}.get(news.status, str(news.status))
    why = news.message or news.reason
    return f"{how}{took}: {why}" if why else f"{how}{took}"


def _status(news: JobNotification, state: State, now: float) -> Iterator[OutboxEntry]:
    project = forge_project(news.repository, state.config.git_authentication) if news.commit_sha else None
    if project is not None:
        target = f"status {project.api_url} {project.project} {news.commit_sha} {news.pipeline}"
        yield OutboxEntry(OutboxKind.STATUS, target, f"forge {project.api_url}", news, now)


def _notification(notification: Notification, news: JobNotification, state: State, now: float) -> Iterator[OutboxEntry]:
    wanted = set(notification.when)
    if news.status is Status.CANCELLED:
        occasion, only_after_failure = Occasion.ALWAYS in wanted, False
    elif news.status is Status.SUCCESS:
        only_after_failure = Occasion.ALWAYS not in wanted
        occasion = not only_after_failure or Occasion.RECOVERY in wanted
    else:
        occasion, only_after_failure = bool(wanted & {Occasion.FAILURE, Occasion.ALWAYS}), False
    if not occasion:
        return
    kind, target, channel, address = _receiver(notification, state)
    yield OutboxEntry(kind, target, channel, news, now, address, only_after_failure)


def _receiver(notification: Notification, state: State) -> tuple[OutboxKind, str, str, Mapping[str, object]]:
    """Kind, target, channel and address."""
    match notification:
        case EmailNotification(to=to):
            host = state.config.smtp.host if state.config.smtp is not None else ""
            return OutboxKind.EMAIL, f"email {' '.join(to)}", f"mail server {host}", {"to": list(to)}
        case SlackNotification(url_secret=secret):
            return OutboxKind.SLACK, f"slack {secret}", f"slack webhook {secret}", {"url_secret": secret}
        case WebhookNotification(url=url, signing_secret=secret):
            return OutboxKind.WEBHOOK, f"webhook {url}", f"webhook {url}", {"url": url, "signing_secret": secret}


def _ended(job: Job, now: float) -> InboxEntry:
    event = PipelineEnded(job.pipeline, job.id, str(job.status), job.settings.repository, job.trigger.revision)
    return InboxEntry(EntrySource.PIPELINE, job.id, event, now)
