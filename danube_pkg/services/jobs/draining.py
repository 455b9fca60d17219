"""Draining: no job is accepted or started, running ones continue. It outlasts restarts, until it is resumed.

A server that was restored from a backup starts so, and is silent as well: it sends no notification and writes nothing
to a forge, since the original may still do that."""

from collections.abc import Callable, Sequence

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.jobs.ports import ServerState

_NAME = "draining"
RESTORED = "restored"
"""Written by `danube restore` into the database."""


class Draining:
    """Whether the server is draining, since when, and by which user."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self.by = ""
        self.since: float | None = None
        self.is_restored = False
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
        self.is_restored = await self._state.recall(RESTORED) is not None

    async def drain(self, by: str) -> None:
        """Idempotent: the user of the first call stays named."""
        if not self.active:
            await self._state.remember(_NAME, by)
            await self._changed()

    async def resume(self) -> None:
        await self._state.forget(RESTORED)
        await self._state.forget(_NAME)
        await self._changed()

    async def conditions(self) -> Sequence[Condition]:
        """That the server was restored and is paused."""
        if not self.is_restored:
            return ()
        what = "this server was restored from a backup: it starts no job, sends nothing and writes nothing to a forge"
        hint = "check its jobs and its configuration, and that the original does not run any more; then: danube resume"
        return (Condition("server-restored", what, hint),)

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
                cause="it was restored from a backup and is paused"
                if self.is_restored
                else f"{self.by} is draining it; running jobs continue",
                hint="try again later; danube resume ends it",
            )
