"""The real clock. Whatever needs time takes a clock as an argument, so that tests can give it another one."""

import asyncio
import time
from typing import Protocol


class SystemClock:
    """Wall time for records, a monotonic one for durations."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Clock(Protocol):
    """Time. `now` is Unix seconds for records; `monotonic` for durations. `sleep` is the only way to wait for time."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
