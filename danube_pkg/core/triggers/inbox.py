"""The inbox: everything that may start jobs without a person, written down before anybody is told that it was taken.

An entry is known by where it came from and its key there: a forge's delivery, a moment of a clock, the end of another
pipeline's job. The same entry is taken once, however often it comes.
"""

from enum import StrEnum

from danube_pkg.core.errors import Defect
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.revisions import Revision, with_revision
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Ping,
    PullRequest,
    Push,
    TagPush,
    WebhookEvent,
)
from danube_pkg.kit.records import Record, decode_json, encode_json

KEEP_SECONDS = 30 * 86400
"""How long an entry is known after it was dealt with. Forges let a delivery be sent again for at most two weeks."""


class EntrySource(StrEnum):
    """Where an entry came from."""

    GITHUB = Forge.GITHUB
    GITLAB = Forge.GITLAB
    GITEA = Forge.GITEA
    FORGEJO = Forge.FORGEJO
    CRON = "cron"
    PIPELINE = "pipeline"


class CronMoment(Record, tag_field="kind", tag="CronMoment"):
    """A pipeline's clock has struck. moment: Unix seconds, as the schedule has it, without jitter."""

    pipeline: str
    schedule: str
    moment: float


class PipelineEnded(Record, tag_field="kind", tag="PipelineEnded"):
    """A job of a pipeline has ended, and others wait for that. status: its end."""

    pipeline: str
    job_id: str
    status: str
    repository: str
    revision: Revision


InboxEvent = WebhookEvent | CronMoment | PipelineEnded


class Result(StrEnum):
    """What an entry did to one pipeline."""

    STARTED = "started"
    SKIPPED = "skipped"
    NOT_MEANT = "not-meant"
    REFUSED = "refused"


class PipelineOutcome(Record):
    """What became of an entry for one pipeline. why: one sentence, "" for one that started; job_id: the job that it got."""

    pipeline: str
    result: Result
    why: str = ""
    job_id: str = ""


class InboxEntry(Record):
    """One row. id: 0 until it is stored, grows with arrival. note: what became of it as a whole, where that is to be said;
    outcomes: for each pipeline that it could have concerned; settled_at: None until then."""

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
        """By which a job knows what it was made of; a pipeline has one job of each."""
        return f"{self.source}:{self.key}"


def lane_of(event: InboxEvent) -> str:
    """Entries of one lane are dealt with one after the other, in the order of their arrival; lanes do not wait for each other."""
    match event:
        case Push() | TagPush() | BranchDeleted() | PullRequest():
            return f"repository {event.repository.name.lower()}"
        case CronMoment() | PipelineEnded():
            return f"pipeline {event.pipeline}"
    return ""


def repository_of(event: InboxEvent) -> str:
    """`owner/name` as its forge has it; "" for what comes from no forge."""
    return event.repository.name if isinstance(event, Push | TagPush | BranchDeleted | PullRequest) else ""


def event_in_words(event: InboxEvent) -> str:
    """For people, on one line."""
    match event:
        case Push():
            found = f"push to {event.branch} of {event.repository.name} by {event.actor}"
        case TagPush():
            found = f"tag {event.tag} of {event.repository.name} by {event.actor}"
        case BranchDeleted():
            found = f"end of branch {event.branch} of {event.repository.name} by {event.actor}"
        case PullRequest():
            fork = " from a fork" if event.fork else ""
            found = f"pull request {event.number}{fork} of {event.repository.name} {event.change} by {event.actor}"
        case CronMoment():
            found = f"the clock of {event.pipeline}: {event.schedule}"
        case PipelineEnded():
            found = f"the end of {event.pipeline} job {event.job_id}: {event.status}"
        case Ignored():
            found = event.what
        case Ping():
            found = "ping"
    return found.removesuffix(" by ")


class InboxFilter(Record):
    """Which entries a list shows. pipelines: with an outcome for one of these, None for all; before: an entry's id that the
    list begins behind; repository: `owner/name` as the forge has it, in any case."""

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
        event: InboxEvent = decode_json(_present_form(text), InboxEvent)
    except ValueError as error:
        raise Defect(
            "inbox-entry-unknown", f"the inbox holds an unknown entry: {text[:60]}", cause=str(error)
        ) from error
    return event


def _present_form(text: str) -> str:
    return with_revision(text) if text.startswith('{"kind":"PipelineEnded"') else text
