"""`core.repositories.ports.Sources` with one commit of one repository: as a few bytes, or as readable files."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from danube_pkg.core.errors import Defect, Permanent
from danube_pkg.core.repositories.ports import SourceTree
from danube_pkg.core.repositories.revisions import Revision, SourceFile

COMMIT = "0" * 40


class OneCommit:
    """The sources and their only source."""

    commit_sha = COMMIT
    rule = ""
    commit_message = ""
    commit_author = ""
    notices = ()

    async def resolve(self, repository: str, ref: str) -> Revision:
        return Revision(COMMIT, ref or "refs/heads/main", branch="main")

    async def open(self, repository: str, commit_sha: str) -> "OneCommit":
        return self

    async def stream(self) -> AsyncGenerator[bytes, None]:
        for number in range(3):
            await asyncio.sleep(0)
            yield b"tar %d" % number


class ReadableCommit:
    """`core.repositories.ports.Sources` and `SourceFiles`: whatever is asked for, it is this commit, with a danubefile."""

    def __init__(self, commit_sha: str) -> None:
        self._commit_sha = commit_sha

    async def resolve(self, repository: str, ref: str) -> Revision:
        if ref == "gone":
            raise Permanent("source-unavailable", "there is no ref 'gone'", hint="look with: git ls-remote")
        return Revision(ref=ref, branch=ref or "main", tag="", commit_sha=self._commit_sha)

    async def open(self, repository: str, commit_sha: str) -> SourceTree:
        raise Defect("no-source", "this fake opens no source tree")

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        text = b'from danube import pipeline\n\n\n@pipeline(name="One")\ndef one() -> None: ...\n'
        return [SourceFile(name, text, len(text)) for name in names]
