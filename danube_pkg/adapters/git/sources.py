"""The `Sources` port: repositories, local or remote, and plain directories (`GitSources`); the tree at hand (`WorkingTree`).

Everything happens in a worker process (`worker.py`); the event loop only moves bytes, and dulwich's memory is given back
with the process. A source's stream can be read again and again: each reading starts a worker of its own.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

from danube_pkg.adapters.git.access import GitAccess
from danube_pkg.adapters.git.limits import MAX_SUBMODULE_DEPTH, MAX_SUBMODULES
from danube_pkg.adapters.git.mirrors import Mirrors
from danube_pkg.adapters.git.process import Worker
from danube_pkg.core.configuration.settings import SourceSettings
from danube_pkg.core.errors import TooLarge
from danube_pkg.core.repositories.ports import GitCredentials
from danube_pkg.core.repositories.revisions import Credential, Revision, SourceFile
from danube_pkg.core.repositories.urls import is_remote, without_login
from danube_pkg.kit.records import Mutable, Record, field, replace

MAX_WORKERS = 2
"""Reading a tree is bound by the processor; more at once only make each slower."""


class WorkerSource(Record):
    """What the worker streams on request. mirrors: those that it reads from, which must stay meanwhile."""

    commit_sha: str
    worker: Worker
    request: Mapping[str, Any]
    rule: str = ""
    commit_message: str = ""
    commit_author: str = ""
    notices: list[str] = field(default_factory=list)
    mirrors: Mirrors | None = None
    used: Sequence[Path] = ()

    async def stream(self) -> AsyncGenerator[bytes, None]:
        async with AsyncExitStack() as stack:
            for mirror in self.used if self.mirrors is not None else ():
                await stack.enter_async_context(self.mirrors.using(mirror))  # type: ignore[union-attr]
            said: list[str] = []
            chunks = await stack.enter_async_context(aclosing(self.worker.stream(self.request, said)))
            async for chunk in chunks:
                yield chunk
            self.notices.extend(one for one in said if one not in self.notices)


class _Tree(Mutable):
    """What is found out while a commit's tree is gathered: what it says of itself, sentences for the job's page, the
    mirrors that it lies in."""

    words: Mapping[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    used: list[Path] = field(default_factory=list)


class NoCredentials:
    """`GitCredentials` where there are none: everything is read without a login."""

    async def credential_for(self, repository: str) -> Credential:
        return Credential()


class GitSources:
    """Implements `Sources`, `SourceFiles` and `ChangedFiles`. directory: `repos/` below the data directory; mirrors and temporary packs lie there.

    known_hosts: files of ssh host keys beside the system's.
    """

    def __init__(
        self,
        directory: Path,
        credentials: GitCredentials | None = None,
        *,
        settings: SourceSettings | None = None,
        known_hosts: Sequence[Path] = (),
        worker: Worker | None = None,
    ) -> None:
        self._settings = settings or SourceSettings()
        self._mirrors = Mirrors(directory, self._settings.mirrors_limit_gb * 1024**3)
        self._credentials = credentials or NoCredentials()
        self._known_hosts = tuple(map(str, known_hosts))
        self._worker = worker or Worker()
        self._resolving = asyncio.Semaphore(MAX_WORKERS)
        self._fetching = asyncio.Semaphore(MAX_WORKERS)

    async def resolve(self, repository: str, ref: str) -> Revision:
        """Local: branch, tag, full or short hash. Remote: branch, tag, full hash."""
        if not ref and is_plain_directory(repository):
            return Revision("")
        request = {"do": "resolve", "repository": repository.removeprefix("file://"), "ref": ref}
        access = await self._access(repository) if is_remote(repository) else None
        async with self._resolving:
            answer = await self._worker.ask(request | ({"access": access.request()} if access is not None else {}))
        revision = Revision(**answer["revision"])
        if access is None or not answer["peel"]:
            return revision
        fetched = await self._fetch(repository, revision.commit_sha, access)
        return replace(revision, commit_sha=fetched["commit_sha"], **fetched["words"])

    async def open(self, repository: str, commit_sha: str) -> WorkerSource:
        """`commit_sha` is what `resolve` said; "" reads a directory as it is on disk then."""
        request: dict[str, Any] = {
            "do": "stream",
            "repository": repository.removeprefix("file://"),
            "commit_sha": commit_sha,
            "directory": str(self._mirrors.directory),
        }
        if not is_remote(repository):
            return WorkerSource(commit_sha, self._worker, request)
        # Fetched before it is streamed, so that a slow reader keeps nobody from the mirror.
        tree = _Tree()
        access = await self._access(repository)
        request |= await self._gather(repository, commit_sha, access, tree)
        rule = access.credential.rule
        return WorkerSource(
            commit_sha,
            self._worker,
            request,
            rule,
            **tree.words,
            notices=tree.notices,
            mirrors=self._mirrors,
            used=tree.used,
        )

    async def _gather(
        self, url: str, commit_sha: str, access: GitAccess, tree: "_Tree", depth: int = 0
    ) -> dict[str, Any]:
        """A commit and its submodules, theirs included, brought into their mirrors, each by the credential that its URL
        has; the answer is what the worker must know to stream it."""
        answer = await self._fetch(url, commit_sha, access)
        mirror = self._mirrors.path(url, access.credential.rule)
        tree.used.append(mirror)
        tree.words = tree.words or answer["words"]  # the outermost commit's
        inner = []
        for one in answer["submodules"]:
            if one["notice"]:
                tree.notices.append(one["notice"])
                continue
            if len(tree.used) > MAX_SUBMODULES or depth >= MAX_SUBMODULE_DEPTH:
                raise TooLarge(
                    "source-too-large",
                    f"{without_login(url)}: more than {MAX_SUBMODULES} submodules, or deeper than {MAX_SUBMODULE_DEPTH}",
                    hint="does a submodule contain itself?",
                )
            its_access = await self._access(one["url"])
            tree.notices.append(f"submodule {one['path']}: {without_login(one['url'])}, {its_access.credential.rule}")
            inner.append({**one, **await self._gather(one["url"], one["commit_sha"], its_access, tree, depth + 1)})
        return {"commit_sha": commit_sha, "mirror": str(mirror), "submodules": inner}

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        """Without the rest of the tree; a remote repository's commit is fetched first."""
        request: dict[str, Any] = {
            "do": "files",
            "repository": repository.removeprefix("file://"),
            "commit_sha": commit_sha,
            "names": list(names),
        }
        if is_remote(repository):
            access = await self._access(repository)
            mirror = self._mirrors.path(repository, access.credential.rule)
            request |= {"mirror": str(mirror), "access": access.request()}
            async with self._mirrors.writing(mirror), self._fetching:
                answer = await self._worker.ask(request)
            await self._mirrors.tidy(mirror)
        else:
            answer = await self._worker.ask(request)
        return [
            SourceFile(one["name"], base64.b64decode(one["data"]), one["size_bytes"], one["is_link"])
            for one in answer["files"]
        ]

    async def changed_files(self, repository: str, target_branch: str, commit_sha: str) -> Sequence[str] | None:
        """Between the branch as it is now and the commit: what the branch got meanwhile counts as well, since of both no
        more than the newest commit is fetched. So a filter may be met too often, and never too rarely."""
        base = await self.resolve(repository, f"refs/heads/{target_branch}")
        request: dict[str, Any] = {
            "do": "changes",
            "repository": repository.removeprefix("file://"),
            "before": base.commit_sha,
            "after": commit_sha,
        }
        if not is_remote(repository):
            answer = await self._worker.ask(request)
        else:
            access = await self._access(repository)
            mirror = self._mirrors.path(repository, access.credential.rule)
            async with self._mirrors.writing(mirror), self._fetching:
                answer = await self._worker.ask({**request, "mirror": str(mirror), "access": access.request()})
            await self._mirrors.tidy(mirror)
        changed: Sequence[str] | None = answer["changed"]
        return changed

    async def _access(self, repository: str) -> GitAccess:
        credential = await self._credentials.credential_for(repository)
        return GitAccess(credential, self._known_hosts, self._settings.git)

    async def _fetch(self, repository: str, commit_sha: str, access: GitAccess) -> Mapping[str, Any]:
        mirror = self._mirrors.path(repository, access.credential.rule)
        request = {
            "do": "fetch",
            "repository": repository,
            "commit_sha": commit_sha,
            "mirror": str(mirror),
            "access": access.request(),
        }
        async with self._mirrors.writing(mirror), self._fetching:
            answer = await self._worker.ask(request)
        await self._mirrors.tidy(mirror)
        return answer


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

    def _request(self, do: str) -> Mapping[str, Any]:
        return {"do": do, "repository": str(self._path), "directory": str(self._temporary)}
