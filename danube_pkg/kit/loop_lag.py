"""How late an event loop runs its timers: the time that every other task waits too."""

import asyncio
from collections.abc import Callable

INTERVAL_SECONDS = 1.0
"""One timer a second costs nothing, and sees each delay that is as long."""


async def measure_lag(observe: Callable[[float], None]) -> None:
    """Calls `observe` with each delay in seconds, until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        observe(max(0.0, loop.time() - due))
