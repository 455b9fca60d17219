"""Deliveries that fail, as conditions: to whom, since when, why, when the next try is, and where to change it."""

from datetime import UTC, datetime

from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.notifications.outbox import OutboxEntry, OutboxKind
from danube_pkg.kit.records import Record


class DeliveryFailure(Record):
    """The newest failed attempt at a receiver. since, next_at: Unix seconds; next_at: None if it was the last try."""

    entry: OutboxEntry
    problem: str
    hint: str
    since: float
    next_at: float | None

    @property
    def channel(self) -> str:
        return self.entry.channel


def receiver_of(entry: OutboxEntry) -> str:
    """What a success ends the condition of: the statuses of a repository, or one receiver."""
    if entry.kind is OutboxKind.STATUS:
        return f"{entry.channel} {entry.notification.repository}"
    return entry.target


def condition_of(failure: DeliveryFailure) -> Condition:
    """The condition of a failing receiver."""
    entry = failure.entry
    of = f" of {entry.notification.repository}" if entry.kind is OutboxKind.STATUS else ""
    what = f"commit statuses{of} to {entry.channel}" if of else f"notifications to {entry.target}"
    retried = f"; the next try is at {_time(failure.next_at)}" if failure.next_at is not None else "; it was given up"
    says = f"{what} have been failing since {_time(failure.since)}: {failure.problem}{retried}"
    hint = failure.hint if failure.hint and "retried" not in failure.hint else _where(entry)
    return Condition("delivery-failing", says, hint)


def _where(entry: OutboxEntry) -> str:
    """Where the receiver's address can be changed."""
    match entry.kind:
        case OutboxKind.STATUS:
            return "check that the forge answers there; its address is that of the rule of git_authentication (api_url, url)"
        case OutboxKind.EMAIL:
            return "check that the mail server answers; its address is smtp in config.yaml"
        case OutboxKind.SLACK:
            return f"check the URL in the secret, and set it again: danube secrets set {entry.address.get('url_secret', 'NAME')}"
        case OutboxKind.WEBHOOK:
            return "check that the receiver answers; its address is the url under notifications, in config.yaml or a pipeline"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
