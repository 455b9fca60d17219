"""An exit stack whose parts have names: it says which one is being closed, and for how long.

A server that does not end is asked what it waits for. `on_wait(name, seconds)` is called for a part that has not closed
after a while, and again as long as it takes.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

WAIT_SECONDS = 3.0
"""A part is expected to close at once; this is for a busy machine."""

NOTED_SECONDS = 0.1
"""Parts that close faster are not in `closed`."""

Value = TypeVar("Value")

OnWait = Callable[[str, float], None]


class PartStack(AsyncExitStack):
    """closed: the seconds that the closing of a part took, by its name, without those that took hardly any."""

    def __init__(self, on_wait: OnWait) -> None:
        super().__init__()
        self._on_wait = on_wait
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.closed: dict[str, float] = {}

    async def open(self, part: AbstractAsyncContextManager[Value]) -> Value:
        """Enter a part, which is named after the function that made it: `open_store()` is `store`."""
        name = _name_of(part)
        self.callback(self._end, name)
        value = await self.enter_async_context(part)
        self.callback(self._begin, name)
        return value

    def _begin(self, name: str) -> None:
        self._began = time.monotonic()
        self._watch(name)

    def _watch(self, name: str) -> None:
        self._timer = asyncio.get_running_loop().call_later(WAIT_SECONDS, self._report, name)

    def _report(self, name: str) -> None:
        self._on_wait(name, round(time.monotonic() - self._began, 1))
        self._watch(name)

    def _end(self, name: str) -> None:
        """Called too for a part that could not be entered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            seconds = time.monotonic() - self._began
            if seconds >= NOTED_SECONDS:
                self.closed[name] = round(seconds, 1)


def _name_of(part: AbstractAsyncContextManager[object]) -> str:
    """Objects of `@asynccontextmanager` know their generator."""
    generator = getattr(part, "gen", None)
    return str(generator.__name__).removeprefix("open_") if generator is not None else type(part).__name__
