"""The mirrors below `repos/`: each has one writer at a time, and the least recently used are removed above a total
size.

A mirror belongs to a URL and a rule of `git_authentication`: what one credential may read is not shown to another.
"""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.git.limits import MAX_PACKS
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.tree_sizes import TreeSize, measure_trees
from danube_pkg.kit.trees import remove_tree

_log = EventLog("danube.git")

STALE_SECONDS = 600.0
"""A lock file is held for the time of writing a few lines; one that is so old was left by a worker that was killed."""

_NO_LIMIT = TreeSize(1 << 62, 1 << 62)


class Mirrors:
    """limit_bytes: for all mirrors together. It may be exceeded for a while: a mirror in use is never removed."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self._limit = limit_bytes
        self._writing: dict[str, asyncio.Lock] = {}
        """A lock for each mirror that was ever written. Removing one that is waited for would allow two writers."""
        self._using: dict[str, int] = {}
        self._evicting = asyncio.Lock()

    def path(self, url: str, rule: str) -> Path:
        """Where the mirror is, or would be."""
        return self.directory / f"{hashlib.sha256(f'{rule} {url}'.encode()).hexdigest()[:32]}.git"

    @asynccontextmanager
    async def writing(self, mirror: Path) -> AsyncIterator[None]:
        """The block is the mirror's only writer. A mirror with too many packs is deleted first, unless it is in use."""
        async with self._writing.setdefault(mirror.name, asyncio.Lock()), self.using(mirror):
            if self._using[mirror.name] == 1 and await asyncio.to_thread(_has_too_many_packs, mirror):
                await asyncio.to_thread(_remove, mirror)
            yield

    @asynccontextmanager
    async def using(self, mirror: Path) -> AsyncIterator[None]:
        """The mirror is not removed during the block."""
        self._using[mirror.name] = self._using.get(mirror.name, 0) + 1
        try:
            yield
        finally:
            self._using[mirror.name] -= 1
            if not self._using[mirror.name]:
                del self._using[mirror.name]

    async def evict(self, just_used: Path) -> None:
        """Record the use of a mirror, and remove the least recently used ones until all fit into the limit."""
        async with self._evicting:
            await asyncio.to_thread(_touch, just_used)
            mirrors = await asyncio.to_thread(_measured, self.directory)
            excess = sum(size for _, size, _ in mirrors) - self._limit
            for _, size, mirror in sorted(mirrors):
                if excess <= 0:
                    return
                if mirror.name not in self._using and mirror != just_used:
                    await asyncio.to_thread(_remove, mirror)
                    excess -= size
                    _log.info("mirror-removed", mirror=mirror.name, bytes=size)

    async def stale_locks(self) -> Sequence[Path]:
        """Lock files that workers left which were killed: the refs that they lock cannot be updated any more."""
        return await asyncio.to_thread(_stale_locks, self.directory, time.time() - STALE_SECONDS)

    async def clear_stale_locks(self) -> int:
        """Removes them, in mirrors that have no writer now. Returns how many."""
        removed = 0
        for lock in await self.stale_locks():
            mirror = self.directory / lock.relative_to(self.directory).parts[0]
            async with self.writing(mirror):
                lock.unlink(missing_ok=True)
                removed += 1
        return removed

    async def make_room(self, is_enough: Callable[[], bool]) -> int:
        """Removes mirrors that are not in use, the least recently used first, until it is enough. Returns how many."""
        removed = 0
        async with self._evicting:
            for _, _, mirror in sorted(await asyncio.to_thread(_measured, self.directory)):
                if is_enough():
                    break
                if mirror.name not in self._using:
                    await asyncio.to_thread(_remove, mirror)
                    removed += 1
        return removed


def _stale_locks(directory: Path, older_than: float) -> Sequence[Path]:
    found = []
    for lock in directory.glob("*.git/**/*.lock"):
        with contextlib.suppress(OSError):  # its writer has just removed it
            if lock.is_file() and lock.stat().st_mtime < older_than:
                found.append(lock)
    return found


def _has_too_many_packs(mirror: Path) -> bool:
    packs = mirror / "objects" / "pack"
    return packs.is_dir() and sum(name.endswith(".pack") for name in os.listdir(packs)) > MAX_PACKS


def _touch(mirror: Path) -> None:
    if mirror.is_dir():
        now = time.time()
        os.utime(mirror, (now, now))


def _measured(directory: Path) -> list[tuple[float, int, Path]]:
    """(time of last use, bytes, mirror) for each; files that vanish meanwhile are not counted."""
    found = []
    for mirror in directory.glob("*.git"):
        try:
            used_at = mirror.stat().st_mtime
        except FileNotFoundError:  # its writer has just deleted it
            continue
        found.append((used_at, measure_trees([mirror], _NO_LIMIT).size_bytes, mirror))
    return found


def _remove(mirror: Path) -> None:
    """Renamed first, so that a partly deleted mirror is never used. Its refs have names that the remote chose."""
    removed = mirror.with_suffix(".removed")
    _remove_if_possible(removed)
    if mirror.exists():
        mirror.rename(removed)
    _remove_if_possible(removed)


def _remove_if_possible(removed: Path) -> None:
    try:
        remove_tree(removed)
    except OSError as error:
        _log.warning("mirror-not-removed", path=str(removed), cause=str(error))
