"""What follows from a job's change: its commit's status, notifications, and an entry for pipelines that start at its
end.

`follow_up_of` compares a job before and after a change and returns what must be stored in the same transaction. Nothing
here sends anything: the outbox and the inbox are worked off later, at least once.
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
from danube_pkg.core.jobs.environment_approvals import waits_for_decision
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.notifications.commit_statuses import SKIPPED, commit_status, kind_of
from danube_pkg.core.notifications.outbox import (
    JobNotification,
    OutboxEntry,
    OutboxKind,
    notification_of,
)
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Status
from danube_pkg.core.repositories.forges import CommitStatus, forge_project
from danube_pkg.core.triggers.inbox import EntrySource, InboxEntry, PipelineEnded
from danube_pkg.core.triggers.matching import PipelineIndex, Skip
from danube_pkg.kit.records import Record


class FollowUp(Record):
    """What must be delivered or started because of one change."""

    inbox: tuple[InboxEntry, ...] = ()
    outbox: tuple[OutboxEntry, ...] = ()


NO_FOLLOW_UP = FollowUp()


def merged_follow_ups(*parts: FollowUp) -> FollowUp:
    """All entries of the parts, in that order."""
    return FollowUp(
        tuple(one for part in parts for one in part.inbox), tuple(one for part in parts for one in part.outbox)
    )


def follow_up_of(before: Job | None, after: Job, state: State, index: PipelineIndex, now: float) -> FollowUp:
    """What follows from a change. before: None for a new job. index: made of the state's pipelines. now: Unix
    seconds. A rebuild reports nothing and starts nothing: it is about a commit that was reported before."""
    if after.trigger.rebuild is not None:
        return NO_FOLLOW_UP
    outbox: list[OutboxEntry] = []
    notification = notification_of(after)
    known = notification_of(before) if before is not None else None
    if known is None or _reported(known) != _reported(notification):
        outbox += _status(notification, state, now)
    asks = waits_for_decision(after.approvals) and (before is None or not waits_for_decision(before.approvals))
    ends = after.status.ended and not (before is not None and before.status.ended)
    if not (asks or ends):
        return FollowUp((), tuple(outbox)) if outbox else NO_FOLLOW_UP
    definition = state.pipelines.get(after.pipeline)
    own: Sequence[Notification] = definition.spec.notifications if definition is not None else ()
    for receiver in dict.fromkeys((*state.config.notifications, *own)):
        outbox += _notification(receiver, notification, state, now)
    if asks:
        return FollowUp((), tuple(outbox))
    # A pull request's job starts nothing: the next pipeline, which may deploy, trusts the code that it gets.
    follows = index.starts_others(after.pipeline) and after.trigger.pull_request is None
    return FollowUp((_ended(after, now),) if follows else (), tuple(outbox))


def _reported(notification: JobNotification) -> tuple[str, CommitStatus]:
    """What a forge is given: the commit of a job that is being resolved comes later than the job."""
    return notification.commit_sha, commit_status(notification, "")


def follow_up_of_skip(skip: Skip, pipeline: Pipeline, state: State, now: float) -> FollowUp:
    """The successful status of a skipped pipeline, so that a check that the forge requires is not awaited for ever."""
    trigger = skip.trigger
    notification = JobNotification(
        job_id="",
        pipeline=pipeline.name,
        status=Status.SUCCESS,
        reason=SKIPPED,
        message=skip.why,
        repository=pipeline.settings.repository,
        commit_sha=trigger.revision.commit_sha,
        ref=trigger.revision.full_ref,
        trigger=trigger.type,
        actor=trigger.actor,
        created_at=now,
        finished_at=now,
        pull_request=trigger.pull_request,
    )
    return FollowUp((), tuple(_status(notification, state, now))) if skip.reported else NO_FOLLOW_UP


def channels_of(state: State) -> frozenset[str]:
    """The channels that the configuration has now: of its forges, mail server and receivers."""
    found = {_forge_channel(one.spec.repository, state) for one in state.pipelines.values()}
    own = [receiver for one in state.pipelines.values() for receiver in one.spec.notifications]
    found |= {_address(receiver, state)[2] for receiver in (*state.config.notifications, *own)}
    return frozenset(found - {""})


def _forge_channel(repository: str, state: State) -> str:
    project = forge_project(repository, state.config.git_authentication)
    return f"forge {project.api_url}" if project is not None else ""


def _status(notification: JobNotification, state: State, now: float) -> Iterator[OutboxEntry]:
    project = (
        forge_project(notification.repository, state.config.git_authentication) if notification.commit_sha else None
    )
    if project is not None:
        name = f"{notification.pipeline}/{kind_of(notification)}"
        target = f"status {project.api_url} {project.project} {notification.commit_sha} {name}"
        yield OutboxEntry(OutboxKind.STATUS, target, f"forge {project.api_url}", notification, now)


def _notification(
    receiver: Notification, notification: JobNotification, state: State, now: float
) -> Iterator[OutboxEntry]:
    wanted = set(receiver.when)
    if notification.status is Status.RUNNING:
        occasion, only_after_failure = Occasion.APPROVAL in wanted, False
    elif notification.status is Status.CANCELLED:
        occasion, only_after_failure = Occasion.ALWAYS in wanted, False
    elif notification.status is Status.SUCCESS:
        only_after_failure = Occasion.ALWAYS not in wanted
        occasion = not only_after_failure or Occasion.RECOVERY in wanted
    else:
        occasion, only_after_failure = bool(wanted & {Occasion.FAILURE, Occasion.ALWAYS}), False
    if not occasion:
        return
    kind, target, channel, address = _address(receiver, state)
    yield OutboxEntry(kind, target, channel, notification, now, address, only_after_failure)


def _address(receiver: Notification, state: State) -> tuple[OutboxKind, str, str, Mapping[str, object]]:
    """Kind, target, channel and address of an entry for that receiver."""
    match receiver:
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
