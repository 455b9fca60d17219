"""The `Sources` port: local and remote repositories and plain directories.

The work is done in worker processes (`worker.py`); the event loop only moves bytes, and dulwich's memory is freed with
the process. A source's stream can be read repeatedly: the first reading continues the conversation with the worker that
has fetched it, each later one starts a worker of its own.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from danube_pkg.adapters.git.limits import MAX_SUBMODULE_DEPTH, MAX_SUBMODULES
from danube_pkg.adapters.git.mirrors import Mirrors
from danube_pkg.adapters.git.process import Conversation, Worker
from danube_pkg.adapters.git.remote import REDIRECTED, RemoteSettings
from danube_pkg.adapters.git.worker_source import FoundWithWorker, WorkerSource
from danube_pkg.core.configuration.settings import SourceSettings
from danube_pkg.core.egress.policy import entry_for
from danube_pkg.core.errors import Defect, Permanent, TooLarge
from danube_pkg.core.repositories.ports import GitCredentials, SubmoduleGuard
from danube_pkg.core.repositories.revisions import (
    Credential,
    GitProgram,
    History,
    Revision,
    SourceFile,
    SubmoduleCommit,
)
from danube_pkg.core.repositories.urls import as_url, canonical, is_remote, scheme_of, without_login
from danube_pkg.core.triggers.heads import RefHead
from danube_pkg.core.triggers.ports import CommitText
from danube_pkg.kit.records import Mutable, field, replace, to_builtins

MAX_WORKERS = 2
"""Reading a tree is bound by the processor; more workers at once would only slow each other down."""


MAX_WAITING = 4
"""Workers that have found a commit and wait until its tree is opened: each is a process. Further ones end."""


class _Fetched(Mutable):
    """The results of fetching a commit and its submodules.

    repository: the outermost one. guard: decides about submodules. notices: sentences for the job's page; used: the
    mirrors. submodules: all that were fetched, by their path in the outermost tree.
    """

    repository: str
    guard: SubmoduleGuard | None
    notices: list[str] = field(default_factory=list)
    used: list[Path] = field(default_factory=list)
    submodules: list[SubmoduleCommit] = field(default_factory=list)


class NoCredentials:
    """`GitCredentials` without any: every repository is read anonymously."""

    async def credential_for(self, repository: str) -> Credential:
        return Credential()


class GitSources:
    """Implements `Sources`, `SourceFiles`, `CommitReader` and `HeadReader`.

    directory: `repos/` below the data directory, for mirrors and temporary packs. known_hosts: files of ssh host keys
    beside the system's.
    """

    def __init__(
        self,
        directory: Path,
        credentials: GitCredentials | None = None,
        *,
        worker: Worker,
        settings: SourceSettings | None = None,
        known_hosts: Sequence[Path] = (),
    ) -> None:
        self._settings = settings or SourceSettings()
        self.mirrors = Mirrors(directory, self._settings.mirrors_limit_gb * 1024**3)
        self._credentials = credentials or NoCredentials()
        self._known_hosts = tuple(map(str, known_hosts))
        self._worker = worker
        self._resolving = asyncio.Semaphore(MAX_WORKERS)
        self._fetching = asyncio.Semaphore(MAX_WORKERS)
        self._listing = asyncio.Semaphore(MAX_WORKERS)
        self._waiting = asyncio.Semaphore(MAX_WAITING)

    async def resolve(self, repository: str, ref: str) -> Revision:
        """ref: a branch, a tag or a full hash; in a local repository a short hash too."""
        if not ref and is_plain_directory(repository):
            return Revision("")
        async with self._resolving, self._conversation() as conversation:
            answer = await conversation.ask(await self._question(repository, ref))
        return await self._peeled(repository, answer)

    async def find(self, repository: str, ref: str) -> FoundWithWorker:
        """By one worker, which waits for the next request where not too many do already."""
        found = FoundWithWorker(Revision(), self.open, repository)
        if not is_remote(repository):
            found.revision = await self.resolve(repository, ref)
            return found
        async with self._resolving, self._conversation(found) as conversation:
            answer = await conversation.ask(await self._question(repository, ref))
        try:
            found.revision = await self._peeled(repository, answer)
        except BaseException:
            await found.close()
            raise
        return found

    @asynccontextmanager
    async def _conversation(self, kept_by: FoundWithWorker | None = None) -> AsyncIterator[Conversation]:
        """Closed with the block. kept_by: takes it then, unless too many wait or the block has raised."""
        conversation = await self._worker.begin()
        try:
            yield conversation
        except BaseException:
            await conversation.close()
            raise
        if kept_by is None or self._waiting.locked():
            await conversation.close()
        else:
            await self._waiting.acquire()
            kept_by.conversation, kept_by.on_taken = conversation, self._waiting.release

    async def _question(self, repository: str, ref: str) -> Mapping[str, Any]:
        request = {"do": "resolve", "repository": repository.removeprefix("file://"), "ref": ref}
        if not is_remote(repository):
            return request
        return {**request, "remote": (await self._remote_settings(repository)).request()}

    async def _peeled(self, repository: str, answer: Mapping[str, Any]) -> Revision:
        """The revision of an answer, with the commit that it leads to. A remote one is fetched for that where it may be
        another object."""
        revision = Revision(**answer["revision"])
        if not answer["peel"] or not is_remote(repository):
            return revision
        fetched = await self._fetch(repository, revision.commit_sha, await self._remote_settings(repository))
        return replace(revision, commit_sha=fetched["commit_sha"], **fetched["metadata"])

    async def open(
        self,
        repository: str,
        commit_sha: str,
        tag: str = "",
        submodules: SubmoduleGuard | None = None,
        history: History | None = None,
        conversation: Conversation | None = None,
    ) -> WorkerSource:
        """The tree of a commit that `resolve` returned; "" for a directory as it is on disk when it is read.

        conversation: with the worker that has found a remote repository's commit, None where one is started.
        """
        request: dict[str, Any] = {
            "do": "stream",
            "repository": repository.removeprefix("file://"),
            "commit_sha": commit_sha,
            "tag": tag,
            "directory": str(self.mirrors.directory),
            "history": to_builtins(history) if history is not None and commit_sha else None,
        }
        if not is_remote(repository):
            return WorkerSource(commit_sha, self._worker, request)
        source = WorkerSource(commit_sha, self._worker, request, mirrors=self.mirrors, conversation=conversation)
        try:
            remote = await self._remote_settings(repository)
            source.rule = remote.credential.rule
            source.conversation = conversation or await self._worker.begin()
            await self._fetch_source(source, remote, _Fetched(repository, submodules))
        except BaseException:
            await source.close()
            raise
        return source

    async def _fetch_source(self, source: WorkerSource, remote: RemoteSettings, fetched: _Fetched) -> None:
        """Fetch what the source has to stream: before that, so that a slow reader does not block the mirror for others.

        The worker of the outermost repository streams it too, unless it has submodules: each of them is fetched by a
        worker of its own, and what has several repositories is streamed by one that holds no credential.
        """
        request, conversation = dict(source.request), source.conversation
        if conversation is None:
            raise Defect("source-without-worker", "the source has no worker to fetch it")
        asked = {name: request[name] for name in ("tag", "history")}
        answer = await self._fetch(fetched.repository, source.commit_sha, remote, conversation, **asked)
        if any(not one["notice"] for one in answer["submodules"]):
            await source.close()
        request |= await self._fetch_inner(fetched.repository, answer, remote, fetched)
        source.commit_sha, source.used, source.notices = request["commit_sha"], fetched.used, fetched.notices
        source.commit_message = answer["metadata"].get("commit_message", "")
        source.commit_author = answer["metadata"].get("commit_author", "")
        source.submodules = tuple(sorted(fetched.submodules, key=lambda one: one.path))
        source.request = {**request, "history": answer.get("history"), "tag_sha": answer.get("tag_sha")}

    async def _fetch_inner(
        self,
        url: str,
        answer: Mapping[str, Any],
        remote: RemoteSettings,
        fetched: _Fetched,
        within: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Fetch the submodules of a commit, recursively, each with the credential for its own URL.

        answer: of the fetch of that commit. The result is what the worker needs to stream them. within: the paths of
        the submodules that lead to it.
        """
        fetched.notices.extend(answer["notices"])
        mirror = self.mirrors.path(url, remote.credential.rule)
        fetched.used.append(mirror)
        inner = []
        for one in answer["submodules"]:
            if one["notice"]:
                fetched.notices.append(one["notice"])
                continue
            if len(fetched.used) > MAX_SUBMODULES or len(within) >= MAX_SUBMODULE_DEPTH:
                raise TooLarge(
                    "source-too-large",
                    f"{without_login(url)}: more than {MAX_SUBMODULES} submodules, or deeper than {MAX_SUBMODULE_DEPTH}",
                    hint="does a submodule contain itself?",
                )
            its_remote = await self._settings_of_submodule(one["path"], one["url"], fetched)
            rule = its_remote.credential.rule
            fetched.notices.append(f"submodule {one['path']}: {without_login(one['url'])}, {rule}")
            try:
                place = (*within, one["path"])
                its_answer = await self._fetch(one["url"], one["commit_sha"], its_remote)
                its_request = await self._fetch_inner(one["url"], its_answer, its_remote, fetched, place)
            except Permanent as error:
                if fetched.guard is None or fetched.guard.lends(one["url"]) or isinstance(error, SubmoduleRefused):
                    raise
                if error.reference == REDIRECTED:
                    raise SubmoduleRefused(REDIRECTED, error.what, cause=error.cause, hint=error.hint) from error
                raise _not_lent(one["path"], one["url"], str(error)) from error
            inner.append({**one, **its_request})
            fetched.submodules.append(
                SubmoduleCommit("/".join(place), without_login(one["url"]), its_request["commit_sha"])
            )
        return {"commit_sha": answer["commit_sha"], "mirror": str(mirror), "submodules": inner}

    async def _settings_of_submodule(self, path: str, url: str, fetched: _Fetched) -> RemoteSettings:
        """How a submodule is read. Raises Permanent for a host that is not allowed."""
        settings = replace(await self._remote_settings(url), one_host=True)
        if fetched.guard is None:
            return settings
        lent = fetched.guard.lends(url)
        host, port = _host_of(url)
        own_host, own_port = _host_of(fetched.repository)
        own = host == own_host and port in (own_port, 443, 22)
        addresses = await fetched.guard.allowed_addresses(host, port, configured=lent or own)
        if addresses is None:
            raise SubmoduleRefused(
                "source-unavailable",
                f"the submodule {path} is not fetched: {host} is not allowed",
                cause="it is neither the repository's own host, nor named by submodules, nor in the egress allowlist",
                hint=f"in the pipeline's YAML: egress_allowlist: [{entry_for(host, port)}]",
            )
        if not lent and scheme_of(url) == "ssh":
            raise _not_lent(path, url, "it is read with a key of the server")
        if addresses:  # git would look the name up again, and could get others: DNS rebinding
            settings = replace(settings, addresses=tuple(addresses), program=GitProgram.DULWICH)
        return settings if lent else replace(settings, credential=Credential())

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        """Files of a commit without the rest of its tree; a remote repository's commit is fetched first."""
        answer = await self._ask_about(repository, {"do": "files", "commit_sha": commit_sha, "names": list(names)})
        return [
            SourceFile(one["name"], base64.b64decode(one["data"]), one["size_bytes"], one["is_link"])
            for one in answer["files"]
        ]

    async def changed_files(self, repository: str, target_branch: str, commit_sha: str) -> Sequence[str] | None:
        """The differences between the branch's head and the commit.

        Only these two commits are fetched, so that later changes of the branch count as well: a filter may be met too
        often, and never too rarely.
        """
        base = await self.resolve(repository, f"refs/heads/{target_branch}")
        return await self.changed_between(repository, base.commit_sha, commit_sha)

    async def changed_between(self, repository: str, before: str, after: str) -> Sequence[str] | None:
        """The differences between two commits. Only these are fetched."""
        answer = await self._ask_about(repository, {"do": "changes", "before": before, "after": after})
        changed: Sequence[str] | None = answer["changed"]
        return changed

    async def list_heads(self, repository: str) -> Sequence[RefHead]:
        """Beside `resolve`, in a place of its own: a server that does not answer delays no job."""
        remote = await self._remote_settings(repository)
        async with self._listing:
            answer = await self._worker.ask({"do": "heads", "repository": repository, "remote": remote.request()})
        return [RefHead(*one) for one in answer["heads"]]

    async def commit_text(self, repository: str, commit_sha: str) -> CommitText:
        answer = await self._ask_about(repository, {"do": "text", "commit_sha": commit_sha})
        return CommitText(answer["message"], answer["author"])

    async def _ask_about(self, repository: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """The worker's answer about commits, which it fetches into the mirror of a remote repository."""
        request = {**question, "repository": repository.removeprefix("file://")}
        if not is_remote(repository):
            return await self._worker.ask(request)
        remote = await self._remote_settings(repository)
        mirror = self.mirrors.path(repository, remote.credential.rule)
        async with self.mirrors.writing(mirror), self._fetching:
            answer = await self._worker.ask({**request, "mirror": str(mirror), "remote": remote.request()})
        await self.mirrors.evict(mirror)
        return answer

    async def _remote_settings(self, repository: str) -> RemoteSettings:
        credential = await self._credentials.credential_for(repository)
        return RemoteSettings(credential, self._known_hosts, self._settings.git)

    async def _fetch(
        self,
        repository: str,
        commit_sha: str,
        remote: RemoteSettings,
        conversation: Conversation | None = None,
        *,
        tag: str = "",
        history: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        mirror = self.mirrors.path(repository, remote.credential.rule)
        request = {
            "do": "fetch",
            "repository": repository,
            "commit_sha": commit_sha,
            "mirror": str(mirror),
            "remote": remote.request(),
            "tag": tag,
            "history": history,
        }
        async with self.mirrors.writing(mirror), self._fetching:
            answer = await (conversation or self._worker).ask(request)
        await self.mirrors.evict(mirror)
        return answer


def _host_of(url: str) -> tuple[str, int]:
    parts = urlsplit(as_url(url))
    try:
        port = parts.port
    except ValueError:
        port = 0  # it is not a number, and no list has it
    return parts.hostname or "", {"ssh": 22, "http": 80}.get(parts.scheme, 443) if port is None else port


class SubmoduleRefused(Permanent):
    """A submodule that is not fetched, or not with the server's rights."""


def _not_lent(path: str, url: str, cause: str) -> SubmoduleRefused:
    name = canonical(url)
    return SubmoduleRefused(
        "source-unavailable",
        f"the submodule {path} cannot be read without a credential of the server",
        cause=cause,
        hint=f"in the pipeline's YAML: submodules: [{name}]",
    )


def is_plain_directory(repository: str) -> bool:
    """Whether a local directory is certainly not a repository, so that no worker is needed to resolve its refs."""
    if is_remote(repository):
        return False
    path = Path(repository.removeprefix("file://"))
    return path.is_dir() and not (path / ".git").exists() and not (path / "HEAD").exists()
