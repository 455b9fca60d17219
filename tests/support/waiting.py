"""Waiting for a condition, with a deadline: the only place in the tests that sleeps."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

LEAST_SECONDS, MOST_SECONDS = 0.01, 0.1
SHARE = 8
"""A condition is tried again after this part of the time waited so far: many conditions are requests, and those of a
test that waits for seconds would take more processor time than what it waits for."""


def _pauses(seconds: float, what: str) -> Iterator[float]:
    """How long to sleep before each further try; fails when the time is over."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        yield min(MOST_SECONDS, max(LEAST_SECONDS, waited / SHARE))
    raise AssertionError(f"waited {seconds} s for {what}")


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when the condition holds; fail with `what` unless it does within `seconds`."""
    pauses = _pauses(seconds, what)
    while not condition():
        time.sleep(next(pauses))


async def wait_until_async(condition: Callable[[], object], seconds: float, what: str) -> None:
    """The same inside an event loop, which continues meanwhile."""
    pauses = _pauses(seconds, what)
    while not condition():
        await asyncio.sleep(next(pauses))


async def wait_until_true(condition: Callable[[], Awaitable[object]], seconds: float, what: str) -> None:
    """The same for a condition that is a coroutine."""
    pauses = _pauses(seconds, what)
    while not await condition():
        await asyncio.sleep(next(pauses))


def let_pass(seconds: float) -> None:
    """Return after a time that the test has drawn: the random moment of what follows is what it tries."""
    time.sleep(seconds)


async def let_others_run() -> None:
    """Return when the loop's other tasks have run once."""
    await asyncio.sleep(0)
