"""The inbox: everything that may start jobs without a user, stored before its receipt is acknowledged.

An entry is identified by its source and a key: the id of a webhook delivery, a scheduled time, the id of another
pipeline's job. The same entry is stored once, however often it is sent.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import cast

from danube_pkg.core.errors import Defect
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.revisions import Revision, with_revision
from danube_pkg.core.triggers.heads import HeadFound, is_same_repository, leads_to, movement_of, names_of
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Ping,
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    UnreadableEvent,
    WebhookEvent,
)
from danube_pkg.kit.records import Record, decode_json, encode_json, field

NO_PIPELINE = "no pipeline uses this repository; a push to the configuration repository starts a sync"

KEEP_SECONDS = 30 * 86400
"""How long an entry is kept after it was settled. Forges can repeat a delivery for at most two weeks."""

SAME_EVENT_SECONDS = 86400.0
"""How long another delivery of the same event starts nothing. Later it is taken for a movement that was not
reported."""

KEEP_UNMATCHED_SECONDS = 7 * 86400
"""The same for an entry that concerned no pipeline: a forge may send each event of a whole organisation, and nothing
has to be recognised when it is repeated."""


class EntrySource(StrEnum):
    """What sent an entry."""

    GITHUB = Forge.GITHUB
    GITLAB = Forge.GITLAB
    GITEA = Forge.GITEA
    FORGEJO = Forge.FORGEJO
    CRON = "cron"
    PIPELINE = "pipeline"
    COMPARISON = "comparison"


class ScheduleDue(Record, tag_field="kind", tag="CronMoment"):
    """A pipeline's schedule is due. scheduled_at: Unix seconds, without jitter; stored rows call it `moment`. skipped:
    why no job is started, "" where one is."""

    pipeline: str
    schedule: str
    scheduled_at: float = field(name="moment")
    skipped: str = ""


class PipelineEnded(Record, tag_field="kind", tag="PipelineEnded"):
    """A job has ended whose pipeline starts others. status: how it ended."""

    pipeline: str
    job_id: str
    status: str
    repository: str
    revision: Revision


InboxEvent = WebhookEvent | ScheduleDue | PipelineEnded | HeadFound


class Result(StrEnum):
    """The effect of an entry on one pipeline."""

    STARTED = "started"
    SKIPPED = "skipped"
    NOT_MATCHED = "not-meant"
    REFUSED = "refused"
    KNOWN = "known"
    LISTED = "listed"


class PipelineOutcome(Record):
    """The effect of an entry on one pipeline. why: one sentence, "" where a job was started; job_id: that job, or
    "". KNOWN: an earlier entry of the same event started the job. LISTED: a comparison found it, and a user may start
    it."""

    pipeline: str
    result: Result
    why: str = ""
    job_id: str = ""


class InboxEntry(Record):
    """One row. id: 0 until it is stored; ids grow in the order of arrival. received_at, settled_at: Unix seconds.

    note: a sentence about the entry as a whole, or "". outcomes: one for each pipeline that it could concern.
    settled_at: None until all pipelines were matched and their jobs were created.
    """

    source: EntrySource
    key: str
    event: InboxEvent
    received_at: float
    id: int = 0
    note: str = ""
    outcomes: tuple[PipelineOutcome, ...] = ()
    settled_at: float | None = None

    @property
    def origin(self) -> str:
        """What a job stores as its origin; a pipeline has one job for each origin."""
        return f"{self.source}:{self.key}"


def lane_of(event: InboxEvent) -> str:
    """The lane of an event. Entries of one lane are settled in the order of arrival; lanes do not wait for each
    other."""
    match event:
        case Push() | TagPush() | BranchDeleted() | TagDeleted() | PullRequest() | HeadFound():
            # The last two parts: a forge below a path of its host names its repositories without that path.
            return f"repository {'/'.join(event.repository.name.lower().split('/')[-2:])}"
        case ScheduleDue() | PipelineEnded():
            return f"pipeline {event.pipeline}"
    return ""


def repository_of(event: InboxEvent) -> str:
    """The event's repository as its forge names it (`owner/name`); "" for an event that is not about a repository."""
    if isinstance(event, UnreadableEvent):
        return event.repository
    if isinstance(event, Push | TagPush | BranchDeleted | TagDeleted | PullRequest | HeadFound):
        return event.repository.name
    return ""


def names_of_event(event: InboxEvent) -> frozenset[str]:
    """All names under which entries of the event's repository may be stored, in lower case."""
    if isinstance(event, Push | TagPush | BranchDeleted | TagDeleted | PullRequest | HeadFound):
        return names_of(event.repository)
    return frozenset()


def ref_of(event: InboxEvent) -> str:
    """The full name of the ref that an event moves; "" for an event that moves none."""
    match event:
        case Push() | BranchDeleted():
            return f"refs/heads/{event.branch}"
        case TagPush() | TagDeleted():
            return f"refs/tags/{event.tag}"
        case PullRequest() | HeadFound():
            return event.ref
    return ""


def is_same_event(event: InboxEvent, other: InboxEvent) -> bool:
    """Whether two deliveries report one event: a second webhook sends it, or the forge does so again under another id.

    Only what names both ends of a movement can be recognised. The caller makes sure that the ref did not move between.
    """
    movement = _movement_of(event)
    return movement != () and movement == _movement_of(other)


def _movement_of(event: InboxEvent) -> tuple[object, ...]:
    """What moved from where to where; () where an end of the movement is not known."""
    match event:
        case Push() if event.before:
            return event.repository.urls, event.branch, event.before, event.commit_sha
        case TagPush() if event.before:
            return event.repository.urls, ref_of(event), event.before, event.after or event.commit_sha
        case PullRequest() if event.version:
            state = (event.change, event.commit_sha, event.target_branch, event.version)
            return event.repository.urls, event.number, *state
    return ()


def reported_before(entry: InboxEntry, earlier: Sequence[InboxEntry]) -> InboxEntry | None:
    """The earlier entry that reported the event of this one, if its ref has not moved since; None where there is none.

    earlier: entries of the same ref, the newest first. Of deliveries only the last can be the same event. A head that a
    comparison built is known whatever a late delivery says about the one before it, unless the movements since lead
    from that head to the one before it: then it came back. Other deliveries may be late too, and lead nowhere.
    """
    event, recent = entry.event, [one for one in earlier if entry.received_at - one.received_at <= SAME_EVENT_SECONDS]
    if recent and is_same_event(event, recent[0].event):
        return recent[0]
    if isinstance(event, PullRequest):
        return _with_this_head(event, recent)
    if not isinstance(event, Push | TagPush):
        return None
    before, head = movement_of(event)
    since = list[tuple[str, str]]()
    for one in recent:
        if isinstance(one.event, HeadFound):
            if not is_same_repository(one.event.repository, event.repository):
                continue  # one of that name at another forge
            if head in (one.event.after, one.event.commit_sha):
                return None if leads_to(before, {one.event.after, one.event.commit_sha}, since) else one
        since.append(movement_of(one.event))
    return None


def _with_this_head(event: PullRequest, recent: Sequence[InboxEntry]) -> InboxEntry | None:
    """The entry that reported the head of an update already: Gitea sends an update with the same head after a request
    was opened."""
    moves = (PullRequestChange.OPENED, PullRequestChange.UPDATED, PullRequestChange.CLOSED)
    last = next((one for one in recent if isinstance(one.event, PullRequest) and one.event.change in moves), None)
    if last is None or not isinstance(last.event, PullRequest) or last.event.change is PullRequestChange.CLOSED:
        return None
    same = (last.event.repository.urls, last.event.commit_sha, last.event.target_branch) == (
        event.repository.urls,
        event.commit_sha,
        event.target_branch,
    )
    return last if same and event.change is PullRequestChange.UPDATED else None


def note_of(event: InboxEvent) -> str:
    """Why an event that no pipeline could match started nothing, in one sentence."""
    match event:
        case Ping():
            return "the forge tested its webhook, which arrived"
        case Ignored():
            return "events of this type start nothing"
        case UnreadableEvent():
            return event.why
    return NO_PIPELINE


def describe_event(event: InboxEvent) -> str:
    """The event in one line, as lists of deliveries and the log show it."""
    match event:
        case Push():
            found = f"push to {event.branch} of {event.repository.name} by {event.actor}"
        case TagPush():
            found = f"tag {event.tag} of {event.repository.name} by {event.actor}"
        case BranchDeleted():
            found = f"branch {event.branch} of {event.repository.name} deleted by {event.actor}"
        case TagDeleted():
            found = f"tag {event.tag} of {event.repository.name} deleted by {event.actor}"
        case PullRequest():
            fork = " from a fork" if event.fork else ""
            found = f"pull request {event.number}{fork} of {event.repository.name} {event.change} by {event.actor}"
        case ScheduleDue():
            found = f"schedule of {event.pipeline}: {event.schedule}"
        case PipelineEnded():
            found = f"end of job {event.job_id} of {event.pipeline}: {event.status}"
        case HeadFound():
            kind = "tag" if isinstance(event.movement, TagPush) else "branch"
            found = (
                f"{kind} {event.short_name} of {event.repository.name} at {event.commit_sha[:12]}, found by comparison"
            )
        case Ignored():
            found = event.what
        case UnreadableEvent():
            found = (
                f"{event.what} of {event.repository}, not readable"
                if event.repository
                else f"{event.what}, not readable"
            )
        case Ping():
            found = "ping"
    return found.removesuffix(" by ")


class InboxFilter(Record):
    """What a list of entries contains. pipelines: entries with an outcome for one of these, None for all. repository:
    `owner/name` in any case. before: only entries with a smaller id, for the next page."""

    pipelines: frozenset[str] | None = None
    source: EntrySource | None = None
    repository: str | None = None
    before: int | None = None
    limit: int = 50


def event_to_json(event: InboxEvent) -> str:
    """The stored form: the event's fields behind its `kind`."""
    return encode_json(event).decode()


def event_from_json(text: str) -> InboxEvent:
    """The event of a stored form. Raises Defect for a row that no version of this program has written."""
    try:
        event = decode_json(_present_form(text), cast("type[InboxEvent]", InboxEvent))
    except ValueError as error:
        raise Defect(
            "inbox-entry-unknown", f"the inbox holds an unknown entry: {text[:60]}", cause=str(error)
        ) from error
    return event


def _present_form(text: str) -> str:
    return with_revision(text) if text.startswith('{"kind":"PipelineEnded"') else text
