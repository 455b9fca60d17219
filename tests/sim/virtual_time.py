"""An event loop whose clock jumps: nothing really waits, and only the code under test decides the order.

The simulation touches no socket and no thread, so the loop never asks the operating system what is ready: when no
callback is ready the clock moves to the next timer. A loop in which nothing can ever happen again raises `Stuck`.
"""

import asyncio
import gc
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

EPOCH = 1_800_000_000.0
"""Unix time at which each loop starts."""

MAX_TURNS = 200_000
"""The most turns of the loop in one run; a run that needs more makes no progress."""


class Stuck(AssertionError):
    """Nothing is ready and no timer is set, or the loop makes no progress."""


class _JumpingSelector(selectors.SelectSelector):
    """Advances the clock by what the loop wants to wait, and returns at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0
        self.on_turn: Callable[[int], None] = lambda turn: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is ready and no timer is set: this run cannot continue")
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise Stuck(f"{MAX_TURNS} turns of the loop, at {self.now:.3f} s")
        self.now += max(0.0, timeout)
        self.on_turn(self.turns)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds from 0. `on_turn` is called before each round of callbacks with the number of the round."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Run it at once: a thread would decide the order of events."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)
        return future

    def on_turn(self, call: Callable[[int], None]) -> None:
        self._jumping.on_turn = call

    @property
    def turns(self) -> int:
        return self._jumping.turns


class VirtualClock:
    """`kit.clock.Clock` over the running loop."""

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtually(work: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop of its own; tasks that it leaves behind are cancelled.

    Garbage collection is off meanwhile: it would end forgotten generators at times of its own choice.
    """
    loop = VirtualLoop()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(work(loop))
    finally:
        gc.enable()
        asyncio.set_event_loop(None)
