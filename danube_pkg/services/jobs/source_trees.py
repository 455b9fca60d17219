"""A job's source tree: opened while its pod is being created, so that the coordinator does not wait for it; by what has
found its commit, where that was just before.

The first reader gets the stream that was opened; a later one (the connection was lost) opens a new one. An error while
it is prepared is only logged: the reader gets it again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.ports import FoundCommit, Sources, SourceTree, SubmoduleGuard
from danube_pkg.core.repositories.revisions import History, Revision

_log = logging.getLogger("danube.sources")

Listener = Callable[[SourceTree], Awaitable[None]]


class JobSource:
    """One job's source tree. Call `close` when the job is over: it releases a stream that was never read.

    job: as it is now. guard: decides about the submodules of a job. on_opened: called with the source when it can be
    read, and again when it has been streamed: its notices are then whole.
    """

    def __init__(
        self, sources: Sources, job: Callable[[], Job], guard: Callable[[Job], SubmoduleGuard], on_opened: Listener
    ) -> None:
        self._guard = guard
        self._sources = sources
        self._job = job
        self._on_opened = on_opened
        self._lock = asyncio.Lock()
        self._opened: tuple[bytes, AsyncGenerator[bytes, None]] | None = None
        self._found: FoundCommit | None = None

    async def find(self) -> Revision:
        """What the job's ref names now. What has found it waits for `prepare`, or until `release`. Raises Permanent
        `source-unavailable`, Unavailable."""
        job = self._job()
        self._found = await self._sources.find(job.settings.repository, job.trigger.revision.ref)
        return self._found.revision

    async def release(self) -> None:
        """The job is not prepared soon."""
        found, self._found = self._found, None
        if found is not None:
            await found.close()

    async def prepare(self) -> None:
        """Open the stream and read its first chunk."""
        async with self._lock:
            try:
                stream = await self._open()
                self._opened = await anext(stream, b""), stream
            except PlatformError as error:
                fields = {"job": self._job().id, "reference": error.reference, "cause": str(error)}
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
        job, found = self._job(), self._found
        revision, guard, history = job.trigger.revision, self._guard(job), history_of(job)
        self._found = None
        if found is not None:
            source = await found.open(guard, history)
        else:
            source = await self._sources.open(
                job.settings.repository, revision.commit_sha, revision.tag, guard, history
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
        await self.release()
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
