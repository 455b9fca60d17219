"""Repositories without Git: every repository has one commit with a few files."""

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.ports import SubmoduleGuard
from danube_pkg.core.repositories.revisions import History, Revision, SourceFile, SubmoduleCommit
from danube_pkg.core.triggers.heads import RefHead
from danube_pkg.core.triggers.ports import CommitText

COMMIT = "0" * 40
DANUBEFILE = b'from danube import pipeline\n\n\n@pipeline(name="One")\ndef one() -> None: ...\n'
CHUNKS = 3
"""Parts of a stream, so that other tasks run between them."""


@dataclass(frozen=True)
class FakeTree:
    """`core.repositories.ports.SourceTree` over the bytes of a tar."""

    commit_sha: str
    data: bytes
    rule: str = ""
    commit_message: str = ""
    commit_author: str = ""
    submodules: tuple[SubmoduleCommit, ...] = ()
    notices: tuple[str, ...] = ()

    async def stream(self) -> AsyncGenerator[bytes, None]:
        size = -(-len(self.data) // CHUNKS)
        for start in range(0, len(self.data), size):
            await asyncio.sleep(0)
            yield self.data[start : start + size]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class FoundInFake:
    """`core.repositories.ports.FoundCommit`. sources: what has found it, which counts those that wait."""

    revision: Revision
    repository: str
    sources: "FakeSources"

    async def open(self, submodules: SubmoduleGuard | None = None, history: History | None = None) -> FakeTree:
        await self.close()
        return await self.sources.open(self.repository, self.revision.commit_sha, self.revision.tag)

    async def close(self) -> None:
        self.sources.waiting.discard(id(self))


class FakeSources:
    """`Sources`, `SourceFiles`, `CommitReader` and `HeadReader`. The commit is the head of `main`, the default branch,
    and of all others.

    message: of each commit. missing_refs: names that no repository has. heads: commits of other refs, by full name;
    heads_of: what `list_heads` lists of a repository, by ref.
    revisions: the same as a whole. changed: what `changed_files` returns. failure: raised by every call that a
    repository would have to answer. requests: what was asked, `REPOSITORY REF` or `REPOSITORY BRANCH..COMMIT`.
    """

    def __init__(
        self,
        commit_sha: str = COMMIT,
        *,
        files: Mapping[str, bytes] | None = None,
        missing_refs: Collection[str] = (),
        changed: Sequence[str] | None = None,
    ) -> None:
        self.commit_sha = commit_sha
        self.files = dict(files if files is not None else {"danubefile.py": DANUBEFILE})
        self.missing_refs = missing_refs
        self.submodules: tuple[SubmoduleCommit, ...] = ()
        self.changed = changed
        self.heads: dict[str, str] = {}
        self.heads_of: dict[str, dict[str, str]] = {}
        self.revisions: dict[str, Revision] = {}
        self.message = "a change"
        self.failure: Exception | None = None
        self.requests: list[str] = []
        self.waiting: set[int] = set()
        """What `find` has returned and was neither opened nor closed."""
        self._tar = _tar(self.files)

    async def find(self, repository: str, ref: str) -> FoundInFake:
        found = FoundInFake(await self.resolve(repository, ref), repository, self)
        self.waiting.add(id(found))
        return found

    async def resolve(self, repository: str, ref: str) -> Revision:
        self._request(f"{repository} {ref}".strip())
        if ref in self.revisions:
            return self.revisions[ref]
        if ref == self.commit_sha:
            return Revision(self.commit_sha, ref)
        if ref in self.missing_refs:
            what = f"{repository} has no branch, tag or commit {ref!r}"
            raise Permanent("source-unavailable", what, hint="list them: git ls-remote")
        commit_sha = self.heads.get(ref, self.commit_sha)
        return Revision(commit_sha, ref or "main", branch=ref.removeprefix("refs/heads/") or "main")

    async def open(
        self,
        repository: str,
        commit_sha: str,
        tag: str = "",
        submodules: SubmoduleGuard | None = None,
        history: History | None = None,
    ) -> FakeTree:
        self._request(f"{repository} {commit_sha}")
        return FakeTree(commit_sha, self._tar, submodules=self.submodules)

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        self._request(f"{repository} {commit_sha}")
        found = [one for one in sorted(self.files) if any(_matches(one, name) for name in names)]
        return [SourceFile(one, self.files[one], len(self.files[one])) for one in found]

    async def changed_files(self, repository: str, target_branch: str, commit_sha: str) -> Sequence[str] | None:
        self._request(f"{repository} {target_branch}..{commit_sha}")
        return self.changed

    async def changed_between(self, repository: str, before: str, after: str) -> Sequence[str] | None:
        self._request(f"{repository} {before}..{after}")
        return self.changed

    async def list_heads(self, repository: str) -> Sequence[RefHead]:
        self._request(f"{repository} heads")
        return [RefHead(ref, sha, sha) for ref, sha in self.heads_of.get(repository, {}).items()]

    async def commit_text(self, repository: str, commit_sha: str) -> CommitText:
        self._request(f"{repository} text of {commit_sha}")
        return CommitText(self.message, "Ada")

    def _request(self, what: str) -> None:
        self.requests.append(what)
        if self.failure is not None:
            raise self.failure


def _matches(file: str, pattern: str) -> bool:
    """`directory/*.yaml` matches files of that directory only."""
    return file.count("/") == pattern.count("/") and fnmatchcase(file, pattern)


def _tar(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()
