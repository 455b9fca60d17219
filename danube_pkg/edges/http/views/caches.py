"""Caches of pipelines."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.caches.cache import CacheEntry
from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso


class CacheView(Record):
    """Files that a job keeps for later ones."""

    id: Annotated[str, about("Its id.")]
    step: Annotated[int, about("Of a step's snapshot, the number of the step in the job that kept it; 0 for a cache.")]
    name: Annotated[str, about("The name that the danubefile gives it.")]
    key: Annotated[str, about("The key.")]
    ref: Annotated[str, about("The branch, tag or pull request whose jobs may restore it.")]
    trusted: Annotated[bool, about("Whether it is of trusted code; the others are apart.")]
    image: Annotated[str, about("The image in whose containers it is restored.")]
    size_bytes: Annotated[int, about("Its size.")]
    sha256: Annotated[str, about("The SHA-256 of its archive, in hexadecimal digits.")]
    job: Annotated[str, about("The job that kept it.")]
    created_at: Annotated[Time, about("When it was kept.")]
    used_at: Annotated[Time, about("When it was kept or restored last.")]
    hits: Annotated[int, about("How often it was restored.")]


class CacheList(Record):
    """The caches of a pipeline."""

    caches: Annotated[tuple[CacheView, ...], about("The most recently used first.")]
    size_bytes: Annotated[int, about("Their size together.")]
    limit_bytes: Annotated[int, about("The size at which the least recently used make room.")]


class CachesRemoved(Record):
    """What was removed."""

    count: Annotated[int, about("How many caches.")]
    freed_bytes: Annotated[int, about("Their size.")]


def cache_list(entries: Sequence[CacheEntry], limit_bytes: int) -> CacheList:
    """entries: the most recently used first."""
    return CacheList(tuple(map(cache_view, entries)), sum(one.size_bytes for one in entries), limit_bytes)


def cache_view(entry: CacheEntry) -> CacheView:
    """The entry without its files."""
    return CacheView(
        id=entry.id,
        step=entry.step,
        name=entry.name,
        key=entry.key,
        ref=entry.scope.ref,
        trusted=entry.scope.trusted,
        image=entry.image,
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        job=entry.job_id,
        created_at=iso(entry.created_at),
        used_at=iso(entry.used_at),
        hits=entry.hits,
    )


def caches_removed(entries: Sequence[CacheEntry]) -> CachesRemoved:
    """The count of these entries."""
    return CachesRemoved(len(entries), sum(one.size_bytes for one in entries))
