"""The protocols of what starts jobs and of what is told about them; `ports.py` has the others and says how they are used."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Protocol

from danube_pkg.core.configuration.server import SmtpSpec
from danube_pkg.core.inbox import InboxEntry, InboxFilter, PipelineOutcome
from danube_pkg.core.outbox import OutboxEntry
from danube_pkg.core.reasons import Status


class InboxStore(Protocol):
    """What may start jobs. Settling an entry is the job store's: it belongs into the transaction that makes the jobs."""

    async def receive(self, entry: InboxEntry) -> bool:
        """On disk when this returns. False where source and key were known before: nothing is written then."""
        ...

    async def receive_moment(self, entry: InboxEntry, schedule: str, pipeline: str, moment: float) -> bool:
        """The same for a moment of a clock, which is the schedule's last one from then on, in one transaction."""
        ...

    async def open_entries(self, after: int, limit: int) -> Sequence[InboxEntry]:
        """Those that are not settled, oldest first, with an id larger than `after`."""
        ...

    async def entry(self, source: str, key: str) -> InboxEntry | None: ...

    async def list_entries(self, wanted: InboxFilter) -> Sequence[InboxEntry]:
        """Newest first, settled or not; only a list without `pipelines` has those that are not settled."""
        ...

    async def last_moment(self, pipeline: str, schedule: str) -> float | None:
        """The last moment of a schedule that was seen; None for one that is new."""
        ...

    async def remember_moment(self, pipeline: str, schedule: str, moment: float) -> None: ...

    async def forget_settled(self, before: float) -> int:
        """Entries that were settled before then, in Unix seconds; how many there were."""
        ...


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


class ChangedFiles(Protocol):
    """Which files a proposal changes, for pipelines that want to know."""

    async def changed_files(self, repository: str, target_branch: str, commit_sha: str) -> Sequence[str] | None:
        """Between where the commit left the branch and the commit; None where there are too many to be told.

        Raises Permanent, Unavailable where the repository cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Header names are in lower case. body: at most as much as the sender takes."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


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


@dataclass(frozen=True, slots=True)
class Settled:
    """An entry of the inbox that is dealt with, and when (Unix seconds); outcomes without the jobs, which are made in the
    same transaction, and what is to be said of it as a whole."""

    entry: InboxEntry
    at: float
    outcomes: Sequence[PipelineOutcome] = ()
    note: str = ""
