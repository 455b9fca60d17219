"""A job's source tree: opened while its pod is being made, so that the coordinator does not wait for it.

The first reader gets the stream that was begun; one that comes again (its connection was lost) begins a new one. An error
while it is prepared is not reported from here: the reader meets it again and knows whom to tell.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.ports import Sources, SourceTree
from danube_pkg.core.repositories.urls import without_login

_log = logging.getLogger("danube.sources")


Listener = Callable[[SourceTree], Awaitable[None]]


class JobSource:
    """One job's. `close` when the job is over: what was begun and never read is let go.

    on_opened: told of the source when it is at hand, and again when it has been streamed, since then its notices are whole.
    """

    def __init__(self, sources: Sources, job: Job, on_opened: Listener) -> None:
        self._sources = sources
        self._job = job
        self._on_opened = on_opened
        self._lock = asyncio.Lock()
        self._begun: tuple[bytes, AsyncGenerator[bytes, None]] | None = None

    async def prepare(self) -> None:
        """Begin the stream, up to its first chunk."""
        async with self._lock:
            try:
                stream = await self._open()
                self._begun = await anext(stream, b""), stream
            except PlatformError as error:
                fields = {"job": self._job.id, "reference": error.reference, "cause": str(error)}
                _log.info("source-not-prepared", extra={"fields": fields})

    async def read(self) -> AsyncIterator[bytes]:
        """The tree as an uncompressed tar. Raises Permanent `source-unavailable`, Unavailable."""
        async with self._lock:
            begun, self._begun = self._begun, None
        if begun is None:
            stream = await self._open()
        else:
            first, stream = begun
            yield first
        async for chunk in stream:
            yield chunk

    async def _open(self) -> AsyncGenerator[bytes, None]:
        source = await self._sources.open(self._job.settings.repository, self._job.trigger.commit_sha)
        await self._on_opened(source)
        return self._told(source)

    async def _told(self, source: SourceTree) -> AsyncGenerator[bytes, None]:
        async with aclosing(source.stream()) as chunks:
            async for chunk in chunks:
                yield chunk
        await self._on_opened(source)

    async def close(self) -> None:
        async with self._lock:
            begun, self._begun = self._begun, None
        if begun is not None:
            await begun[1].aclose()


def source_lines(job: Job, source: SourceTree) -> list[tuple[str, str]]:
    """(key, line) for the job's log: by which rule the code was read, and what else there is to say of it."""
    lines = [(f"source:{notice}", f"--- {' '.join(notice.split())}") for notice in source.notices]
    if source.rule:
        where = f"{without_login(job.settings.repository)} at {source.commit_sha}"
        lines.insert(0, ("source", f"--- source {where}, read with: {source.rule}"))
    return lines
