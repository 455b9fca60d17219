"""The protocols of what starts jobs and of what is told about them; `ports.py` has the others and says how they are used."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.triggers.inbox import InboxEntry, InboxFilter, PipelineOutcome
from danube_pkg.kit.records import Record


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


class ChangedFiles(Protocol):
    """Which files a proposal changes, for pipelines that want to know."""

    async def changed_files(self, repository: str, target_branch: str, commit_sha: str) -> Sequence[str] | None:
        """Between where the commit left the branch and the commit; None where there are too many to be told.

        Raises Permanent, Unavailable where the repository cannot be read.
        """
        ...


class Settlement(Record):
    """An entry of the inbox that is dealt with, and when (Unix seconds); outcomes without the jobs, which are made in the
    same transaction, and what is to be said of it as a whole."""

    entry: InboxEntry
    at: float
    outcomes: Sequence[PipelineOutcome] = ()
    note: str = ""
