"""What `GitSources` and `WorkingTree` open: a tree that a worker process streams."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, Protocol

from danube_pkg.adapters.git.mirrors import Mirrors
from danube_pkg.adapters.git.process import Conversation, Worker
from danube_pkg.core.repositories.ports import SubmoduleGuard
from danube_pkg.core.repositories.revisions import History, Revision, SubmoduleCommit
from danube_pkg.kit.records import Mutable, field


class WorkerSource(Mutable):
    """A `SourceTree` that a worker streams.

    request: what it is asked; used: the mirrors that it reads from, which must not be removed meanwhile. conversation:
    with the worker that streams it first, None where that has to be started.
    """

    commit_sha: str
    worker: Worker
    request: Mapping[str, Any]
    rule: str = ""
    commit_message: str = ""
    commit_author: str = ""
    submodules: tuple[SubmoduleCommit, ...] = ()
    notices: list[str] = field(default_factory=list)
    mirrors: Mirrors | None = None
    used: Sequence[Path] = ()
    conversation: Conversation | None = None

    async def stream(self) -> AsyncGenerator[bytes, None]:
        conversation, self.conversation = self.conversation, None
        async with AsyncExitStack() as stack:
            conversation = conversation or await self.worker.begin()
            stack.push_async_callback(conversation.close)
            for mirror in self.used if self.mirrors is not None else ():
                await stack.enter_async_context(self.mirrors.using(mirror))  # type: ignore[union-attr]
            notices: list[str] = []
            chunks = await stack.enter_async_context(aclosing(conversation.stream(self.request, notices)))
            async for chunk in chunks:
                yield chunk
            self.notices.extend(one for one in notices if one not in self.notices)

    async def close(self) -> None:
        """End the conversation of a source that is not streamed."""
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            await conversation.close()


def nothing() -> None:
    """Where no worker waits."""


class Open(Protocol):
    """`GitSources.open`."""

    async def __call__(
        self,
        repository: str,
        commit_sha: str,
        tag: str = "",
        submodules: SubmoduleGuard | None = None,
        history: History | None = None,
        conversation: Conversation | None = None,
    ) -> WorkerSource: ...


class FoundWithWorker(Mutable):
    """A `FoundCommit`. conversation: with the worker that has found it, None where it does not wait. on_taken: called
    when it waits no more."""

    revision: Revision
    opening: Open
    repository: str
    conversation: Conversation | None = None
    on_taken: Callable[[], None] = nothing

    async def open(self, submodules: SubmoduleGuard | None = None, history: History | None = None) -> WorkerSource:
        revision = self.revision
        return await self.opening(
            self.repository, revision.commit_sha, revision.tag, submodules, history, self._taken()
        )

    async def close(self) -> None:
        if (conversation := self._taken()) is not None:
            await conversation.close()

    def _taken(self) -> Conversation | None:
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            self.on_taken()
        return conversation
