"""The fake of `core.repositories.ports.Sources`: one commit, with a danubefile."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.revisions import Revision, SourceFile

COMMIT = "0" * 40

DANUBEFILE = b'from danube import pipeline\n\n\n@pipeline(name="One")\ndef one() -> None: ...\n'


class OneCommit:
    """`Sources`, `SourceFiles`, and the `SourceTree` that they open. Each ref of each repository names this commit, but
    for the ref `gone`, which does not exist. Its tar stream is a few bytes that no test unpacks."""

    rule = ""
    commit_message = ""
    commit_author = ""
    notices = ()

    def __init__(self, commit_sha: str = COMMIT) -> None:
        self.commit_sha = commit_sha

    async def resolve(self, repository: str, ref: str) -> Revision:
        if ref == "gone":
            raise Permanent("source-unavailable", "there is no ref 'gone'", hint="list the refs: git ls-remote")
        return Revision(self.commit_sha, ref or "refs/heads/main", branch=ref or "main")

    async def open(self, repository: str, commit_sha: str) -> "OneCommit":
        return self

    async def stream(self) -> AsyncGenerator[bytes, None]:
        for number in range(3):
            await asyncio.sleep(0)
            yield b"tar %d" % number

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        return [SourceFile(name, DANUBEFILE, len(DANUBEFILE)) for name in names]
