"""Caches: finds the entry that a job may restore, keeps what it saves, and makes room.

A record is written after the bytes have their name, and removed before they are: a server that is killed in between
leaves bytes without a record, which the next removal of old files finds, and never a record without bytes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from danube_pkg.core.blobs.ports import ContentBlobs
from danube_pkg.core.caches.cache import (
    MAX_USES,
    CacheBounds,
    CacheEntry,
    CacheRequest,
    CacheScope,
    CacheUse,
    due,
    evicted,
    may_read,
    own_scope,
    read_scopes,
)
from danube_pkg.core.caches.ports import CacheStore, CacheUses
from danube_pkg.core.caches.snapshots import snapshot_after_secret
from danube_pkg.core.errors import NotFound, TooLarge
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record

UNNAMED_SECONDS = 3600.0
"""Bytes without a record that are older are those of a killed server."""

LOCAL = CacheScope("directory")
"""The one scope of `danube run`, whose caches belong to a directory of the user's."""

BranchName = Callable[[], Awaitable[str]]
"""The default branch of the job's repository, "" where it is unknown."""


class CacheStorage(Record):
    """Where entries and bytes are. is_local: those of `danube run`."""

    store: CacheStore
    blobs: ContentBlobs
    is_local: bool = False


class FoundCache(Record):
    """exact: by the key, not by a fallback."""

    entry: CacheEntry
    exact: bool


class Caches:
    """The caches of all pipelines. bounds: as they are configured now."""

    def __init__(
        self,
        storage: CacheStorage,
        uses: CacheUses,
        clock: Clock,
        new_id: Callable[[], str],
        bounds: Callable[[], CacheBounds] = CacheBounds,
    ) -> None:
        self._store = storage.store
        self._blobs = storage.blobs
        self._is_local = storage.is_local
        self._uses = uses
        self._clock = clock
        self._new_id = new_id
        self._bounds = bounds
        self._changing = asyncio.Lock()
        """Held while entries are added or removed, so that no bytes are removed that a new entry needs."""

    # --- jobs

    async def find(self, job: Job, request: CacheRequest, family: str, default_branch: BranchName) -> FoundCache | None:
        """The entry to restore: by the key, then by each fallback, in the job's own scope first."""
        own = LOCAL if self._is_local else own_scope(job)
        found = await self._store.find_entry(family, own, request.key)
        if found is not None and may_read(job, found):
            return FoundCache(found, exact=True)
        scopes = (own,) if self._is_local else read_scopes(job, await default_branch())
        for scope in scopes[1:]:
            found = await self._store.find_entry(family, scope, request.key)
            if found is not None and may_read(job, found):
                return FoundCache(found, exact=True)
        for beginning in request.fallback:
            for scope in scopes:
                entries = await self._store.find_entries(family, scope, beginning)
                if (found := next((one for one in entries if may_read(job, one)), None)) is not None:
                    return FoundCache(found, exact=False)
        return None

    async def use(self, job: Job, request: CacheRequest, found: FoundCache) -> AsyncGenerator[bytes, None]:
        """The entry's bytes; the use is recorded first. Raises TooLarge for one use too many; the iterator raises
        Permanent for damaged bytes, and then the entry is removed."""
        entry, now = found.entry, self._clock.now()
        this = (0 if request.step else request.sequence, request.step)
        uses = [one for one in await self._uses.list_uses(job.id) if (one.sequence, one.step) != this]
        if len(uses) >= MAX_USES:
            what = f"the job has restored {MAX_USES} caches, the most that are allowed"
            raise TooLarge("too-many-caches", what, hint="keep several paths in one cache: paths=[…]")
        await self._uses.add_use(
            CacheUse(
                job_id=job.id,
                sequence=this[0],
                name=entry.name,
                key=entry.key,
                sha256=entry.sha256,
                size_bytes=entry.size_bytes,
                source_job=entry.job_id,
                ref=entry.scope.ref,
                exact=found.exact,
                after_secret=entry.after_secret,
                at=now,
                step=request.step,
            )
        )
        await self._store.count_hit(entry.id, now)
        return self._blobs.read(entry.sha256)

    async def is_known(self, job: Job, request: CacheRequest, family: str) -> bool:
        """Whether the job's own scope has the key already."""
        return await self._store.find_entry(family, self._own(job), request.key) is not None

    async def keep(
        self,
        job: Job,
        request: CacheRequest,
        family: str,
        image: str,
        chunks: AsyncIterator[bytes],
        check_wanted: Callable[[], None],
    ) -> CacheEntry | None:
        """Store a stream in the job's own scope; None where the key was stored meanwhile. check_wanted: raises if the
        job is ending; called when the stream has been received. Raises TooLarge above a bound, StorageFull, and what
        `chunks` raises: then nothing is stored."""
        limit_bytes, scope = self._bounds().pipeline_bytes, self._own(job)
        async with self._blobs.receive(f"cache {request.name}", chunks, limit_bytes) as received, self._changing:
            check_wanted()
            if await self._store.find_entry(family, scope, request.key) is not None:
                return None
            now, is_withheld = self._clock.now(), await self._uses.is_withheld(job.id)
            if request.step and is_withheld:
                raise snapshot_after_secret()
            entry = CacheEntry(
                id=self._new_id(),
                pipeline=job.pipeline,
                family=family,
                name=request.name,
                key=request.key,
                scope=scope,
                after_secret=is_withheld,
                image=image,
                sha256=received.sha256,
                size_bytes=received.size_bytes,
                job_id=job.id,
                created_at=now,
                used_at=now,
                step=request.step,
            )
            known = await self._store.list_entries(job.pipeline)
            removed = evicted(known, scope, received.size_bytes, limit_bytes)
            if removed is None:
                raise TooLarge(
                    "cache-quota",
                    f"its {received.size_bytes} bytes do not fit into the {limit_bytes} bytes of the pipeline's caches",
                    cause="" if scope.trusted else "the job of a proposal removes only caches of proposals",
                    hint="raise max_caches_gb_per_pipeline in config.yaml",
                )
            await received.keep()
            await self._remove(removed, but=entry.sha256)
            await self._store.add_entry(entry)
            return entry

    def read(self, sha256: str) -> AsyncGenerator[bytes, None]:
        """The bytes of an entry, without a use of it: see `ContentBlobs.read`."""
        return self._blobs.read(sha256)

    @property
    def are_local(self) -> bool:
        """Whether they are those of `danube run`, whose jobs no later one can verify."""
        return self._is_local

    async def is_withheld(self, job: Job) -> bool:
        """Whether what the job keeps may depend on a secret."""
        return await self._uses.is_withheld(job.id)

    async def forget_use(self, job: Job, step: int) -> None:
        """The snapshot of that step was not restored after all."""
        await self._uses.remove_use(job.id, step)

    async def withhold(self, job: Job) -> None:
        """The job has got something secret beside what `Secrets` records: see `CacheUses.withhold`."""
        await self._uses.withhold(job.id)

    async def uses_of(self, job_id: str) -> Sequence[CacheUse]:
        """What the job has restored."""
        return await self._uses.list_uses(job_id)

    # --- users and retention

    async def list(self, pipeline: str) -> Sequence[CacheEntry]:
        """The entries of a pipeline, the most recently used first."""
        return [*reversed(await self._store.list_entries(pipeline))]

    async def remove(self, pipeline: str, entry_id: str = "") -> Sequence[CacheEntry]:
        """Remove one entry, or all of the pipeline; returns them. Raises NotFound for an unknown id."""
        async with self._changing:
            entries = await self._store.list_entries(pipeline)
            chosen = [one for one in entries if not entry_id or one.id == entry_id]
            if entry_id and not chosen:
                raise NotFound(
                    "cache-unknown",
                    f"pipeline {pipeline!r} has no cache {entry_id!r}",
                    hint=f"danube caches list {pipeline}",
                )
            await self._remove(chosen)
            return chosen

    async def drop(self, entry: CacheEntry) -> None:
        """Remove an entry whose bytes cannot be used."""
        async with self._changing:
            await self._remove([entry])

    async def due(self, keep_seconds: float, limit_bytes: int) -> Sequence[CacheEntry]:
        """What `reap` would remove now."""
        return due(await self._store.list_entries(), keep_seconds, limit_bytes, self._clock.now())

    async def reap(self, keep_seconds: float, limit_bytes: int) -> Sequence[CacheEntry]:
        """Remove what was not used for so long, what is above the limit, and what a killed server has left."""
        async with self._changing:
            chosen = await self.due(keep_seconds, limit_bytes)
            await self._remove(chosen)
            for sha256 in await self._blobs.list_older(UNNAMED_SECONDS):
                if not await self._store.has_content(sha256):
                    await self._blobs.remove(sha256)
            return chosen

    # --- parts

    def _own(self, job: Job) -> CacheScope:
        return LOCAL if self._is_local else own_scope(job)

    async def _remove(self, entries: Sequence[CacheEntry], but: str = "") -> None:
        """but: a content that stays."""
        if not entries:
            return
        await self._store.remove_entries([one.id for one in entries])
        for sha256 in {one.sha256 for one in entries} - {but}:
            if not await self._store.has_content(sha256):
                await self._blobs.remove(sha256)
