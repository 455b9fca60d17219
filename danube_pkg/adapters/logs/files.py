"""All job logs: each is written by one writer, and read and followed by hundreds of readers that do not slow it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from danube_pkg.adapters.logs.index import LogIndex
from danube_pkg.adapters.logs.lines import LineReader
from danube_pkg.adapters.logs.maps import LogMaps
from danube_pkg.adapters.logs.repair import repair
from danube_pkg.adapters.logs.searching import search_log
from danube_pkg.adapters.logs.writer import LogWriter
from danube_pkg.core.logs.index import Found
from danube_pkg.core.logs.lines import Lines, Section
from danube_pkg.core.logs.redaction import Patterns
from danube_pkg.kit.digests import Digest, digest_of_file
from danube_pkg.kit.files import sync_files

CHUNK_BYTES = 256 * 1024
INLINE_BYTES = 1024**2
"""Smaller reads take less time from the page cache than starting a thread."""


class FileJobLogs:
    """`core.logs.ports.JobLogs` below one directory. now: Unix seconds, for the index. monotonic: seconds, for
    waits."""

    def __init__(
        self, directory: Path, now: Callable[[], float], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._now = now
        self._monotonic = monotonic
        self._open: dict[str, LogWriter] = {}
        self._written_bytes = 0
        self._masking = asyncio.Lock()
        self._index = LogIndex()
        self._latest: tuple[str, int, bytes] = ("", 0, b"")
        self._maps = LogMaps(self.path)
        self._lines = LineReader()
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)

    def path(self, job_id: str) -> Path:
        return self._directory / f"{job_id}.log"

    def open(self, job_id: str, *, patterns: Patterns, limit_bytes: int) -> LogWriter:
        if job_id not in self._open:
            self._open[job_id] = LogWriter(
                self.path(job_id),
                patterns,
                limit_bytes,
                self._now,
                self._monotonic,
                partial(self._closed, job_id),
                self._masking,
            )
        return self._open[job_id]

    def _closed(self, job_id: str) -> None:
        if (log := self._open.pop(job_id, None)) is not None:
            self._written_bytes += log.written_bytes

    @property
    def written_bytes(self) -> int:
        return self._written_bytes + sum(log.written_bytes for log in self._open.values())

    def abandon(self) -> None:
        """Close the files of all open logs as a crash would: jobs keep running, and the next server continues their
        logs."""
        for log in list(self._open.values()):
            log.abandon()
        self._open.clear()

    # --- reading

    async def check(self, job_id: str) -> None:
        if job_id not in self._open:
            await asyncio.to_thread(repair, self.path(job_id), self._now())

    def size(self, job_id: str, *, step: int | None = None) -> int:
        if step is not None:
            return sum(end - begin for begin, end in self._index.ranges(self.path(job_id), step))
        if job_id in self._open:
            return self._open[job_id].size_bytes
        return self._index.size(self.path(job_id))

    async def digest(self, job_id: str) -> Digest:
        return await asyncio.to_thread(digest_of_file, self.path(job_id), self.size(job_id))

    async def sync(self, job_id: str) -> int:
        size, path = self.size(job_id), self.path(job_id)
        await asyncio.to_thread(sync_files, path, path.with_suffix(".idx"))
        return size

    async def read(self, job_id: str, begin: int, end: int, *, step: int | None = None) -> bytes:
        if end - begin <= INLINE_BYTES and step is None:
            return self._read(job_id, begin, min(end, self.size(job_id)))
        return await asyncio.to_thread(self._read_parts, job_id, begin, end, step)

    def read_now(self, job_id: str, begin: int, end: int) -> bytes:
        return self._read(job_id, begin, min(end, self.size(job_id)))

    def _read(self, job_id: str, begin: int, end: int) -> bytes:
        path = self.path(job_id)
        if begin >= end or not path.exists():
            return b""
        with path.open("rb") as file:
            return os.pread(file.fileno(), end - begin, begin)

    def _read_parts(self, job_id: str, begin: int, end: int, step: int | None) -> bytes:
        parts = [(0, self.size(job_id))] if step is None else self._index.ranges(self.path(job_id), step)
        found, at = [], 0
        for first, last in parts:
            low, high = max(first, first + begin - at), min(last, first + end - at)
            if low < high:
                found.append(self._read(job_id, low, high))
            at += last - first
        return b"".join(found)

    async def search(
        self, job_id: str, text: str, *, begin: int, limit: int, match_case: bool, step: int | None = None
    ) -> Found:
        return await asyncio.to_thread(self._search, job_id, text, begin, limit, match_case, step)

    def _search(self, job_id: str, text: str, begin: int, limit: int, match_case: bool, step: int | None) -> Found:
        path = self.path(job_id)
        parts = [(0, self.size(job_id))] if step is None else self._index.ranges(path, step)
        return search_log(path, parts, text, begin, limit, match_case)

    def owners(self, job_id: str, begin: int, end: int) -> Sequence[tuple[int, int]]:
        return self._index.owners(self.path(job_id), begin, end)

    def time_at(self, job_id: str, offset: int) -> float | None:
        """When the byte at that offset was written, in Unix seconds."""
        return self._index.time_at(self.path(job_id), offset)

    async def lines(self, job_id: str, first: int, count: int, *, step: int | None = None) -> Lines:
        return await asyncio.to_thread(self._read_lines, job_id, first, count, step)

    def _read_lines(self, job_id: str, first: int, count: int, step: int | None) -> Lines:
        path, known = self.path(job_id), self._maps.of(job_id)
        parts = [(0, known.size_bytes)] if step is None else self._index.ranges(path, step)
        return self._lines.read(path, known, parts, step, first, count)

    async def sections(self, job_id: str) -> Sequence[Section]:
        return await asyncio.to_thread(self._read_sections, job_id)

    def _read_sections(self, job_id: str) -> Sequence[Section]:
        return self._lines.sections(self.path(job_id), self._maps.of(job_id))

    async def follow(self, job_id: str, begin: int) -> AsyncIterator[tuple[int, bytes]]:
        while True:
            log = self._open.get(job_id)
            size = self.size(job_id)
            while begin < size:
                data = self._shared(job_id, begin, min(size, begin + CHUNK_BYTES))
                if not data:
                    return  # the file was removed
                yield begin, data
                begin += len(data)
            if log is None or log.closed:
                if begin >= self.size(job_id):
                    return
            elif begin >= log.size_bytes:
                await log.wait_changed()

    def _shared(self, job_id: str, begin: int, end: int) -> bytes:
        """The bytes of a range. The last one is cached, so that hundreds of followers read the newest lines once."""
        known, offset, data = self._latest
        if known == job_id and offset == begin and len(data) == end - begin:
            return data
        data = self._read(job_id, begin, end)
        self._latest = job_id, begin, data
        return data
