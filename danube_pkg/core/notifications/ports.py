"""Ports of notifications: the outbox, and the ways to send."""

from collections.abc import Collection, Mapping, Sequence
from email.message import EmailMessage
from typing import Annotated, Protocol

from danube_pkg.core.configuration.config import SmtpSpec
from danube_pkg.core.notifications.outbox import OutboxEntry
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import HIDDEN, Record


class OutboxStore(Protocol):
    """What is owed to the world. Entries are added by the job store, in the transaction of what they tell."""

    async def due_entries(self, now: float, limit: int, without: Collection[str] = ()) -> Sequence[OutboxEntry]:
        """The oldest undelivered entry of each target, where its time has come; oldest first. without: these channels."""
        ...

    async def next_due(self, after: float) -> float | None:
        """The earliest time later than `after` at which an undelivered entry may be tried; None where there is none."""
        ...

    async def newest_entry(self, target: str) -> OutboxEntry | None:
        """The newest undelivered one of a target."""
        ...

    async def close_entry(self, entry: OutboxEntry, outcome: str, at: float) -> None:
        """It is done with."""
        ...

    async def postpone(self, entry: OutboxEntry, next_at: float, problem: str) -> None:
        """One more try was in vain."""
        ...

    async def end_before(self, pipeline: str, ref: str, job_id: str) -> Status | None:
        """How the job before that one ended, of that pipeline and ref, cancelled ones apart."""
        ...

    async def forget_delivered(self, before: float) -> int: ...


class HttpAnswer(Record):
    """Header names are in lower case. body: at most as much as the sender takes."""

    status: int
    headers: Mapping[str, str]
    body: Annotated[bytes, HIDDEN]


class OutboundHttp(Protocol):
    """Requests to others' servers."""

    async def send(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """One POST, whatever is answered. `name` is what people are told instead of a URL that may be a secret.

        Redirects are not followed. Raises Unavailable where there is no answer.
        """
        ...


class Mail(Protocol):
    """A mail server."""

    async def send(self, server: SmtpSpec, password: str, message: EmailMessage) -> None:
        """Hand it over. Raises Permanent where the server refuses it for good, Unauthenticated for a wrong login, else Unavailable."""
        ...
