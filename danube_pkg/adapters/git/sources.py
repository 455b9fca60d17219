"""The `Sources` port: repositories, local or remote, and plain directories (`GitSources`); the tree at hand (`WorkingTree`).

Everything happens in a worker process (`worker.py`); the event loop only moves bytes, and dulwich's memory is given back
with the process. A source's stream can be read again and again: each reading starts a worker of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from danube_pkg.adapters.git.process import Worker
from danube_pkg.core.repositories import is_remote
from danube_pkg.core.sources import Revision

MAX_WORKERS = 2
"""Reading a tree is bound by the processor; more at once only make each slower."""


@dataclass(frozen=True, slots=True)
class WorkerSource:
    """What the worker streams on request."""

    commit_sha: str
    worker: Worker
    request: Mapping[str, str]

    def stream(self) -> AsyncIterator[bytes]:
        return self.worker.stream(self.request)


class GitSources:
    """Implements `Sources`. directory: `repos/` below the data directory; mirrors and temporary packs lie there."""

    def __init__(self, directory: Path, worker: Worker | None = None) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._worker = worker or Worker()
        self._resolving = asyncio.Semaphore(MAX_WORKERS)
        self._mirrors: dict[str, asyncio.Semaphore] = {}

    async def resolve(self, repository: str, ref: str) -> Revision:
        """Local: branch, tag, full or short hash. Remote: branch, tag, full hash."""
        if not ref and is_plain_directory(repository):
            return Revision("")
        request = {
            "do": "resolve",
            "repository": repository.removeprefix("file://"),
            "ref": ref,
            "directory": str(self._directory),
        }
        async with self._turn(repository), self._resolving:
            return Revision(**await self._worker.ask(request))

    async def open(self, repository: str, commit_sha: str) -> WorkerSource:
        """`commit_sha` is what `resolve` said; "" reads a directory as it is on disk then."""
        request = {
            "repository": repository.removeprefix("file://"),
            "commit_sha": commit_sha,
            "directory": str(self._directory),
        }
        if is_remote(repository):
            # Fetched before it is streamed, so that a slow reader keeps nobody from the mirror.
            async with self._turn(repository):
                await self._worker.ask({"do": "fetch", **request})
        return WorkerSource(commit_sha, self._worker, {"do": "stream", **request})

    def _turn(self, repository: str) -> asyncio.Semaphore:
        """A mirror has one writer at a time; what is only read, any number."""
        if is_remote(repository):
            return self._mirrors.setdefault(repository, asyncio.Semaphore(1))
        return asyncio.Semaphore(1)


def is_plain_directory(repository: str) -> bool:
    """A directory that is certainly no repository has nothing to resolve, and needs no process to say so."""
    if is_remote(repository):
        return False
    path = Path(repository.removeprefix("file://"))
    return path.is_dir() and not (path / ".git").exists() and not (path / "HEAD").exists()


class WorkingTree:
    """Implements `Sources` for `danube run`: whatever repository is asked for, it is the directory at hand as it is now.

    temporary: a directory of Danube's own for the pack of HEAD.
    """

    def __init__(self, path: Path, temporary: Path, worker: Worker | None = None) -> None:
        self._path = path.absolute()
        self._temporary = temporary
        self._worker = worker or Worker()

    async def resolve(self, repository: str, ref: str) -> Revision:
        """HEAD's commit and branch, as context; empty outside a repository."""
        return Revision(**await self._worker.ask(self._request("working-revision")))

    async def open(self, repository: str, commit_sha: str) -> WorkerSource:
        return WorkerSource(commit_sha, self._worker, self._request("working-tree"))

    def _request(self, do: str) -> Mapping[str, str]:
        return {"do": do, "repository": str(self._path), "directory": str(self._temporary)}
