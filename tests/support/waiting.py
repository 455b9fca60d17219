"""Waiting for a condition, with a deadline: the only place in the tests that sleeps."""

import asyncio
import time
from collections.abc import Awaitable, Callable

INTERVAL_SECONDS = 0.01


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when the condition holds; fail with `what` unless it does within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(INTERVAL_SECONDS)


async def wait_until_async(condition: Callable[[], object], seconds: float, what: str) -> None:
    """The same inside an event loop, which continues meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(INTERVAL_SECONDS)


async def wait_until_true(condition: Callable[[], Awaitable[object]], seconds: float, what: str) -> None:
    """The same for a condition that is a coroutine."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(INTERVAL_SECONDS)
