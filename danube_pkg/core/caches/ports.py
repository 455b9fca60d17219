"""The ports of caches: their records, and what jobs have read of them. Their bytes are blobs: `core.blobs.ports`."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.caches.cache import CacheEntry, CacheScope, CacheUse


class CacheStore(Protocol):
    """The records of stored caches."""

    async def find_entry(self, family: str, scope: CacheScope, key: str) -> CacheEntry | None: ...

    async def find_entries(self, family: str, scope: CacheScope, beginning: str) -> Sequence[CacheEntry]:
        """Those whose key begins so, the newest first; at most a hundred."""
        ...

    async def list_entries(self, pipeline: str | None = None) -> Sequence[CacheEntry]:
        """Those of one pipeline or of all, the least recently used first."""
        ...

    async def add_entry(self, entry: CacheEntry) -> bool:
        """False where that key of that family and scope has an entry, which stays as it is."""
        ...

    async def remove_entries(self, ids: Sequence[str]) -> None: ...
    async def count_hit(self, entry_id: str, at: float) -> None: ...
    async def has_content(self, sha256: str) -> bool:
        """Whether any entry has that content."""
        ...


class CacheUses(Protocol):
    """What each job has read of caches, and whether it has read something secret."""

    async def add_use(self, use: CacheUse) -> None:
        """Replaces that of the same call."""
        ...

    async def remove_use(self, job_id: str, step: int) -> None:
        """The snapshot of that step was not restored after all: nothing was changed."""
        ...

    async def list_uses(self, job_id: str) -> Sequence[CacheUse]: ...

    async def withhold(self, job_id: str) -> None:
        """From now on the job's caches are not read by untrusted code."""
        ...

    async def is_withheld(self, job_id: str) -> bool:
        """Whether the job has read a secret, got an identity token, or restored what such a job had kept."""
        ...
