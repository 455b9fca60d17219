"""The real clock. Whatever needs time takes a clock as an argument, so that tests can give it another one."""

import asyncio
import time


class SystemClock:
    """Wall time for records, a monotonic one for durations."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
