"""`core.repositories.ports.Sources` with one commit of one repository, as a few bytes."""

import asyncio
from collections.abc import AsyncGenerator

from danube_pkg.core.repositories.revisions import Revision

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
