"""Ports of triggers: the store of the inbox, and what Git knows about commits."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from danube_pkg.core.triggers.heads import Comparison, KnownHead, RefHead
from danube_pkg.core.triggers.inbox import InboxEntry, InboxFilter, PipelineOutcome
from danube_pkg.core.triggers.renames import KnownRepository
from danube_pkg.kit.records import Record


class InboxStore(Protocol):
    """Entries of the inbox. The job store settles them, in the transaction that creates their jobs."""

    async def receive(self, entry: InboxEntry, repositories: Collection[str] = ()) -> bool:
        """Store the entry; it is on disk when this returns. Returns False, and writes nothing, for a known source and
        key. A settled entry that concerned no pipeline is not known: it may concern one now, and is replaced.

        repositories: the names (as `canonical` has them, in lower case) under which pipelines have the event's
        repository; the head of its ref is recorded for each in the same transaction.
        """
        ...

    async def known_heads(self, repository: str) -> Mapping[str, KnownHead]:
        """What was announced of a repository's branches and tags, by ref."""
        ...

    async def record_comparison(
        self,
        repository: str,
        decide: Callable[[Mapping[str, KnownHead], bool], tuple[Comparison, Sequence[InboxEntry]]],
    ) -> Comparison:
        """Store what a comparison decides, and its entries, in one transaction. decide: gets what is known now, and
        whether the repository is compared for the first time; it is pure, and may run in another thread."""
        ...

    async def forget_heads(self, keep: Collection[str]) -> None:
        """Delete what is known of the heads of all repositories but these."""
        ...

    async def receive_due(self, entry: InboxEntry, schedule: str, pipeline: str, moment: float) -> bool:
        """`receive` and `set_last_due_time` in one transaction. moment: the scheduled time in Unix seconds."""
        ...

    async def open_entries(self, after: int, limit: int) -> Sequence[InboxEntry]:
        """Entries that are not settled and have an id larger than `after`; oldest first."""
        ...

    async def entry(self, source: str, key: str) -> InboxEntry | None: ...

    async def earlier_entries(self, entry: InboxEntry, limit: int) -> Sequence[InboxEntry]:
        """The entries before this one of its ref, of the same source or of a comparison; newest first. None for an
        event without a ref."""
        ...

    async def list_entries(self, wanted: InboxFilter) -> Sequence[InboxEntry]:
        """Newest first. A list with `pipelines` contains settled entries alone, since only those have outcomes."""
        ...

    async def last_due_time(self, pipeline: str, schedule: str) -> float | None:
        """The last scheduled time (Unix seconds) that was acted on; None for a new schedule."""
        ...

    async def set_last_due_time(self, pipeline: str, schedule: str, moment: float) -> None:
        """Record a scheduled time as the last one that was acted on."""
        ...

    async def branch_head(self, repository: str, branch: str) -> str:
        """The commit that was the branch's head when `set_branch_head` was last called for it; "" where it never
        was."""
        ...

    async def set_branch_head(self, repository: str, branch: str, commit_sha: str) -> None:
        """Record a branch's head as Git has it now. repository: as `core.repositories.urls.canonical` has it."""
        ...

    async def known_repositories(self) -> Sequence[KnownRepository]:
        """Every repository that a delivery was received of, in the order of their ids."""
        ...

    async def note_repository(self, repository: KnownRepository) -> None:
        """Store a repository by its source, host and id, in the place of what was known of it."""
        ...

    async def forget_settled(self, before: float, unmatched_before: float) -> int:
        """Delete entries that were settled before then (Unix seconds), or before the second time if they concerned no
        pipeline; returns their number."""
        ...


class CommitText(Record):
    """message: the whole commit message, bounded. author: the author's name."""

    message: str
    author: str


class CommitReader(Protocol):
    """What Git knows about commits of a repository.

    All methods raise Permanent or Unavailable where the repository cannot be read.
    """

    async def changed_files(self, repository: str, target_branch: str, commit_sha: str) -> Sequence[str] | None:
        """The paths that differ between the commit and the head of the branch; None where there are too many."""
        ...

    async def changed_between(self, repository: str, before: str, after: str) -> Sequence[str] | None:
        """The paths that differ between two commits; None where there are too many."""
        ...

    async def commit_text(self, repository: str, commit_sha: str) -> CommitText:
        """The commit's message and author."""
        ...


class HeadReader(Protocol):
    """Reads which refs a repository has."""

    async def list_heads(self, repository: str) -> Sequence[RefHead]:
        """All branches and tags, by one request. Raises Permanent or Unavailable where the repository cannot be read,
        TooLarge where it has more than `MAX_HEADS`."""
        ...


class Settlement(Record):
    """An inbox entry that is settled at that time (Unix seconds).

    outcomes: without job ids, since the jobs are created in the same transaction. note: a sentence about the entry as a
    whole.
    """

    entry: InboxEntry
    at: float
    outcomes: Sequence[PipelineOutcome] = ()
    note: str = ""
