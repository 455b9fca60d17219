"""Loops and retries: work that is repeated until it succeeds, or until its task is cancelled, with pauses and log
entries.

A failure is `expected` (a component is unreachable: one warning without a traceback) or a bug (one error with a
traceback). A streak of failures is logged when it begins, whenever its cause changes, and once when it ends.
CancelledError and other BaseExceptions pass through. Clock and randomness are passed in.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import TypeVar

from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import until

Answer = TypeVar("Answer")
Errors = tuple[type[Exception], ...]

_log = logging.getLogger("danube.loops")


class Timing(Record):
    """The clock that waits, and the random numbers in [0, 1) that spread the pauses."""

    clock: Clock
    random: Callable[[], float] = random.random


class Pauses(Record):
    """Pauses between tries, in seconds: doubled from `first` up to `cap`."""

    first: float = 0.1
    cap: float = 60.0


DEFAULT_PAUSES = Pauses()


class Bugs(Enum):
    """What happens on an exception that is not expected."""

    RAISE = "raise"
    RETRY = "retry"


class Streak:
    """Counts the failures of one piece of work since its last success: computes pauses and writes the log entries.

    event: the log events are EVENT-failed and EVENT-recovered. fields: added to each log entry.
    """

    def __init__(
        self,
        event: str,
        timing: Timing,
        pauses: Pauses = DEFAULT_PAUSES,
        *,
        log: logging.Logger = _log,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        self._event = event
        self._timing = timing
        self._backoff = Backoff(pauses.first, pauses.cap, timing.random)
        self._log = log
        self._fields = dict(fields or {})
        self._cause = ""
        self._since = 0.0
        self.failures = 0

    def failed(self, error: BaseException, *, is_bug: bool = False) -> float:
        """Logs the failure if its cause is new (a repeat at debug level).

        Returns the pause before the next try in seconds.
        """
        cause = f"{type(error).__name__}: {error}"
        if self.failures == 0:
            self._since = self._timing.clock.monotonic()
        self.failures += 1
        level = logging.DEBUG if cause == self._cause else logging.ERROR if is_bug else logging.WARNING
        self._cause = cause
        fields = {**self._fields, "cause": str(error) or type(error).__name__, "failures": self.failures}
        if hint := getattr(error, "hint", ""):
            fields["hint"] = hint
        self._log.log(level, f"{self._event}-failed", exc_info=error if is_bug else None, extra={"fields": fields})
        return self._backoff.next()

    def pause(self) -> float:
        """The next pause in seconds after a try that neither failed nor succeeded; pauses grow as after a failure."""
        return self._backoff.next()

    def succeeded(self) -> None:
        """Ends the streak and logs its end; the next pause is the first one again."""
        if self.failures:
            seconds = round(self._timing.clock.monotonic() - self._since, 1)
            fields = {**self._fields, "failures": self.failures, "seconds": seconds}
            self._log.info(f"{self._event}-recovered", extra={"fields": fields})
        self.failures, self._cause = 0, ""
        self._backoff.reset()


async def until_done(
    work: Callable[[], Awaitable[Answer]],
    streak: Streak,
    timing: Timing,
    *,
    expected: Errors,
    bugs: Bugs = Bugs.RAISE,
) -> Answer:
    """Calls `work` until it returns, and returns its answer. Raises what is not expected, unless bugs are retried."""
    while True:
        try:
            answer = await work()
        except expected as error:
            pause = streak.failed(error)
        except Exception as error:
            if bugs is Bugs.RAISE:
                raise
            pause = streak.failed(error, is_bug=True)
        else:
            streak.succeeded()
            return answer
        await timing.clock.sleep(pause)


async def for_ever(
    work: Callable[[], Awaitable[float | None]],
    streak: Streak,
    timing: Timing,
    *,
    expected: Errors = (),
    wake: asyncio.Event | None = None,
    pause_first: float = 0.0,
) -> None:
    """Calls `work` until cancelled. It returns how many seconds to wait before the next call; None: until `wake` is
    set.

    wake: ends a wait early. It is cleared before each call, so an event that is set during a call is not lost. After a
    failure the pause is the streak's, and `wake` ends it too. pause_first: seconds before the first call.
    """
    if pause_first:
        await timing.clock.sleep(pause_first)
    while True:
        if wake is not None:
            wake.clear()
        pause: float | None
        try:
            pause = await work()
        except expected as error:
            pause = streak.failed(error)
        except Exception as error:  # noqa: BLE001 - the one place where a loop survives a bug in its work
            pause = streak.failed(error, is_bug=True)
        else:
            streak.succeeded()
        await _wait(timing.clock, pause, wake)


async def _wait(clock: Clock, seconds: float | None, wake: asyncio.Event | None) -> None:
    if seconds is None:
        if wake is None:
            raise ValueError("work that waits for an event needs one: wake=")
        await wake.wait()
    elif wake is None:
        await clock.sleep(seconds)
    else:
        await until(wake.wait(), clock.sleep(seconds), name="pause")
