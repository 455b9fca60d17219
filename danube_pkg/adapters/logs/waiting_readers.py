"""The readers of one log that wait for more of it."""

import asyncio

WAKE_SECONDS = 0.005
"""Followers are woken at most once in this time, however often a step prints."""


class WaitingReaders:
    """All belong to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._is_planned = False

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self) -> None:
        """Until `wake`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            await future
        finally:
            self._waiting.pop(future, None)

    def wake_soon(self) -> None:
        """Within WAKE_SECONDS, together with what follows until then."""
        if self._waiting and not self._is_planned:
            self._is_planned = True
            next(iter(self._waiting)).get_loop().call_later(WAKE_SECONDS, self.wake)

    def wake(self) -> None:
        """Let all continue."""
        self._is_planned = False
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if not future.done():
                future.set_result(None)
