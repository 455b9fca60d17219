"""The working tree of `danube run`, with its progress while it is copied into the pod."""

import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TextIO

from danube_pkg.adapters.git.process import Conversation
from danube_pkg.adapters.git.worker_source import WorkerSource
from danube_pkg.adapters.git.working_tree_source import WorkingTree
from danube_pkg.cli.output import duration, say, size
from danube_pkg.cli.progress import progress
from danube_pkg.core.repositories.ports import SubmoduleGuard
from danube_pkg.core.repositories.revisions import History

NAMED_SECONDS = 2.0
"""A copy that takes longer is named afterwards too, since a log in a file shows no progress."""


class CountedSource(WorkerSource):
    """Counts its bytes on standard error while they are read."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The same bytes."""
        with progress("copying the working tree", 0) as shown:
            report = CopyReport(time.monotonic)
            async with aclosing(super().stream()) as chunks:
                async for chunk in chunks:
                    shown.add(len(chunk))
                    report.add(len(chunk))
                    yield chunk
        report.close(sys.stderr)


class CopyReport:
    """What was copied, and in which time. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._bytes = 0

    def add(self, count: int) -> None:
        self._bytes += count

    def close(self, stream: TextIO) -> None:
        """One line about a copy that took long."""
        took = self._clock() - self._began
        if took >= NAMED_SECONDS:
            what = f"copied the working tree: {size(self._bytes)} in {duration(took)}"
            say(f"{what}; a .gitignore leaves out what a job builds itself", file=stream)


class ShownWorkingTree(WorkingTree):
    """A working tree whose copies are counted."""

    async def open(
        self,
        repository: str,
        commit_sha: str,
        tag: str = "",
        submodules: SubmoduleGuard | None = None,
        history: History | None = None,
        conversation: Conversation | None = None,
    ) -> CountedSource:
        source = await super().open(repository, commit_sha, tag, submodules, history, conversation)
        return CountedSource(source.commit_sha, source.worker, source.request)
