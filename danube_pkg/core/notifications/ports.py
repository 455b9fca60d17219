"""Ports of notifications: the store of the outbox, and the ways to send."""

from collections.abc import Collection, Mapping, Sequence
from email.message import EmailMessage
from typing import Annotated, Protocol

from danube_pkg.core.configuration.config import SmtpSpec
from danube_pkg.core.notifications.outbox import OutboxEntry
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import HIDDEN, Record


class OutboxStore(Protocol):
    """Undelivered entries. The job store adds them, in the transaction of the job's change."""

    async def due_entries(self, now: float, limit: int, without: Collection[str] = ()) -> Sequence[OutboxEntry]:
        """The oldest undelivered entry of each target whose `next_at` has passed, or is so far ahead that the clock
        must have been set back since; oldest first. without: channels to skip."""
        ...

    async def next_due(self, after: float) -> float | None:
        """The earliest time (Unix seconds) after `after` at which an undelivered entry may be tried, or None."""
        ...

    async def newest_entry(self, target: str) -> OutboxEntry | None:
        """The newest undelivered entry of a target."""
        ...

    async def newest_of_each_ref(self, target: str) -> Sequence[OutboxEntry]:
        """The newest entry about the newest job of each ref of a target, delivered or not; oldest first."""
        ...

    async def close_entry(self, entry: OutboxEntry, outcome: str, at: float) -> None:
        """Mark it delivered or given up. outcome: one sentence for operators. at: Unix seconds."""
        ...

    async def postpone(self, entry: OutboxEntry, next_at: float, problem: str) -> None:
        """Record a failed attempt. next_at: Unix seconds of the next one."""
        ...

    async def end_before(self, pipeline: str, ref: str, job_id: str) -> Status | None:
        """How the previous job of that pipeline and ref ended; cancelled jobs do not count."""
        ...

    async def forget_delivered(self, before: float) -> int:
        """Delete entries that were closed before then (Unix seconds); returns their number."""
        ...


class HttpAnswer(Record):
    """Header names are in lower case. body: its beginning, as far as the sender reads."""

    status: int
    headers: Mapping[str, str]
    body: Annotated[bytes, HIDDEN]


class OutboundHttp(Protocol):
    """HTTP requests to receivers of notifications."""

    async def send(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """One POST; any status is returned. name: stands in messages for the URL, which may be a secret.

        Redirects are not followed. Raises Unavailable where there is no response.
        """
        ...


class Mail(Protocol):
    """A mail server."""

    async def send(self, server: SmtpSpec, password: str, message: EmailMessage) -> None:
        """Hand over one message. Raises Permanent for a permanent refusal, Unauthenticated for wrong credentials, else
        Unavailable."""
        ...
