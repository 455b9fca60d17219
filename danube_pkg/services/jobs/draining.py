"""Draining: no job is accepted or started, running ones continue. It outlasts restarts, until it is resumed."""

from collections.abc import Callable

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.jobs.ports import ServerState

_NAME = "draining"


class Draining:
    """Whether the server is draining, since when, and by which user."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self.by = ""
        self.since: float | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def active(self) -> bool:
        return self.since is not None

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it when draining starts or ends; it must be quick and must not raise."""
        self._listeners.append(listener)

    async def recall(self) -> None:
        """At start: restore the state that the server was stopped with."""
        found = await self._state.recall(_NAME)
        self.by, self.since = found if found is not None else ("", None)

    async def drain(self, by: str) -> None:
        """Idempotent: the user of the first call stays named."""
        if not self.active:
            await self._state.remember(_NAME, by)
            await self._changed()

    async def resume(self) -> None:
        await self._state.forget(_NAME)
        await self._changed()

    async def _changed(self) -> None:
        await self.recall()
        for listener in self._listeners:
            listener()

    def check(self) -> None:
        """Raises Unavailable while draining."""
        if self.active:
            raise Unavailable(
                "draining",
                "this server takes no new work now",
                cause=f"{self.by} is draining it; running jobs continue",
                hint="try again later; danube resume ends it",
            )
