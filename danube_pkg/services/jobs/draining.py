"""Draining: no new work is taken, what runs goes on. A drained server stays drained over a restart until it is resumed."""

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.jobs.ports import ServerState

_NAME = "draining"


class Draining:
    """Whether, since when and by whom."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self.by = ""
        self.since: float | None = None

    @property
    def active(self) -> bool:
        return self.since is not None

    async def recall(self) -> None:
        """At start: as it was when the server stopped."""
        found = await self._state.recall(_NAME)
        self.by, self.since = found if found is not None else ("", None)

    async def drain(self, by: str) -> None:
        """Idempotent: the first one who asked stays named."""
        if not self.active:
            await self._state.remember(_NAME, by)
            await self.recall()

    async def resume(self) -> None:
        await self._state.forget(_NAME)
        await self.recall()

    def check(self) -> None:
        """Raises Unavailable while draining."""
        if self.active:
            raise Unavailable(
                "draining",
                "this server takes no new work now",
                cause=f"{self.by} is draining it; jobs that run go on",
                hint="try again later; danube resume ends it",
            )
