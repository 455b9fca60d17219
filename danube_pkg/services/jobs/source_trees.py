"""A job's source tree: opened while its pod is being created, so that the coordinator does not wait for it.

The first reader gets the stream that was opened; a later one (the connection was lost) opens a new one. An error while
it is prepared is only logged: the reader gets it again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.ports import Sources, SourceTree, SubmoduleGuard
from danube_pkg.core.repositories.revisions import History

_log = logging.getLogger("danube.sources")

Listener = Callable[[SourceTree], Awaitable[None]]


class JobSource:
    """One job's source tree. Call `close` when the job is over: it releases a stream that was never read.

    on_opened: called with the source when it can be read, and again when it has been streamed: its notices are then
    whole.
    """

    def __init__(self, sources: Sources, job: Job, submodules: SubmoduleGuard, on_opened: Listener) -> None:
        self._submodules = submodules
        self._sources = sources
        self._job = job
        self._on_opened = on_opened
        self._lock = asyncio.Lock()
        self._opened: tuple[bytes, AsyncGenerator[bytes, None]] | None = None

    async def prepare(self) -> None:
        """Open the stream and read its first chunk."""
        async with self._lock:
            try:
                stream = await self._open()
                self._opened = await anext(stream, b""), stream
            except PlatformError as error:
                fields = {"job": self._job.id, "reference": error.reference, "cause": str(error)}
                _log.info("source-not-prepared", extra={"fields": fields})

    async def read(self) -> AsyncGenerator[bytes, None]:
        """The tree as an uncompressed tar. Raises Permanent `source-unavailable`, Unavailable."""
        async with self._lock:
            opened, self._opened = self._opened, None
        if opened is None:
            stream = await self._open()
        else:
            first, stream = opened
            yield first
        async for chunk in stream:
            yield chunk

    async def _open(self) -> AsyncGenerator[bytes, None]:
        revision = self._job.trigger.revision
        repository = self._job.settings.repository
        source = await self._sources.open(
            repository, revision.commit_sha, revision.tag, self._submodules, history_of(self._job)
        )
        try:
            await self._on_opened(source)
        except BaseException:
            await source.close()
            raise
        return self._stream(source)

    async def _stream(self, source: SourceTree) -> AsyncGenerator[bytes, None]:
        async with aclosing(source.stream()) as chunks:
            async for chunk in chunks:
                yield chunk
        await self._on_opened(source)

    async def close(self) -> None:
        async with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            await opened[1].aclose()


def history_of(job: Job) -> History | None:
    """What the pipeline asks for; a pull request's job gets its target branch too, to compare with."""
    settings = job.settings
    if settings.clone_depth == 1 and not settings.clone_tags:
        return None
    return History(settings.clone_depth, settings.clone_tags, job.trigger.target_branch)
