"""The mirrors below `repos/` as the server sees them: one writer each, in use or not, bounded in size, oldest use first out.

A mirror belongs to a URL and the rule by which it is read: what one credential may see is not given out to another.
"""

import asyncio
import hashlib
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.git.limits import MAX_PACKS

_log = logging.getLogger("danube.git")


class Mirrors:
    """limit_bytes: of all of them together; a mirror that is in use is never removed, so that it may be exceeded for a while."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self._limit = limit_bytes
        self._writing: dict[str, asyncio.Lock] = {}
        """By mirror, kept: there are as many as repositories were ever read, and taking one away would let two write."""
        self._using: dict[str, int] = {}
        self._tidying = asyncio.Lock()

    def path(self, url: str, rule: str) -> Path:
        """Where the mirror is, or would be."""
        return self.directory / f"{hashlib.sha256(f'{rule} {url}'.encode()).hexdigest()[:32]}.git"

    @asynccontextmanager
    async def writing(self, mirror: Path) -> AsyncIterator[None]:
        """The one that may write it; a mirror that has become slow to read begins anew."""
        async with self._writing.setdefault(mirror.name, asyncio.Lock()), self.using(mirror):
            if self._using[mirror.name] == 1 and await asyncio.to_thread(_is_worn, mirror):
                await asyncio.to_thread(_remove, mirror)
            yield

    @asynccontextmanager
    async def using(self, mirror: Path) -> AsyncIterator[None]:
        """While the block lasts it is not removed."""
        self._using[mirror.name] = self._using.get(mirror.name, 0) + 1
        try:
            yield
        finally:
            self._using[mirror.name] -= 1
            if not self._using[mirror.name]:
                del self._using[mirror.name]

    async def tidy(self, just_used: Path) -> None:
        """Note the use, and remove the least recently used until all fit."""
        async with self._tidying:
            await asyncio.to_thread(_touch, just_used)
            mirrors = await asyncio.to_thread(_measured, self.directory)
            excess = sum(size for _, size, _ in mirrors) - self._limit
            for _, size, mirror in sorted(mirrors):
                if excess <= 0:
                    return
                if mirror.name not in self._using and mirror != just_used:
                    await asyncio.to_thread(_remove, mirror)
                    excess -= size
                    _log.info("mirror-removed", extra={"fields": {"mirror": mirror.name, "bytes": size}})


def _is_worn(mirror: Path) -> bool:
    packs = mirror / "objects" / "pack"
    return packs.is_dir() and sum(name.endswith(".pack") for name in os.listdir(packs)) > MAX_PACKS


def _touch(mirror: Path) -> None:
    if mirror.is_dir():
        now = time.time()
        os.utime(mirror, (now, now))


def _measured(directory: Path) -> list[tuple[float, int, Path]]:
    """(time of last use, bytes, mirror) of each; what vanishes meanwhile is not counted."""
    found = []
    for mirror in directory.glob("*.git"):
        try:
            used_at = mirror.stat().st_mtime
        except FileNotFoundError:  # a worn one, which whoever writes it has just taken away
            continue
        size = 0
        for root, _, names in os.walk(mirror):
            for name in names:
                try:
                    size += os.lstat(os.path.join(root, name)).st_blocks * 512
                except FileNotFoundError:
                    continue
        found.append((used_at, size, mirror))
    return found


def _remove(mirror: Path) -> None:
    """Renamed first, so that half of one is never taken for a whole."""
    doomed = mirror.with_suffix(".removed")
    shutil.rmtree(doomed, ignore_errors=True)
    if mirror.exists():
        mirror.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
