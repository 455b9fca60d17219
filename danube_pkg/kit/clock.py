"""The clock as a port, and the real one. Code that needs time takes a clock as an argument, so that tests can replace
it."""

import asyncio
import time
from typing import Protocol


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Clock(Protocol):
    """Time. now: Unix seconds, for timestamps. monotonic: seconds, for durations. sleep: the only way to wait."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
