"""Retries and endless loops on a virtual clock: how long they pause, what they log, what ends them."""

import asyncio
import logging
from collections.abc import Callable, Iterable

import pytest

from danube_pkg.kit.loops import Bugs, Pauses, Streak, Timing, for_ever, until_done
from danube_pkg.kit.tasks import end_all
from tests.support.moved_clock import MovedClock
from tests.support.waiting import wait_until_async

LOG = logging.getLogger("danube.tests.loops")
PAUSES = Pauses(first=1.0, cap=4.0)


class CountingClock(MovedClock):
    """Time passes at once; `pauses` has how long each sleep was."""

    def __init__(self) -> None:
        super().__init__(1000.0)
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.move(seconds)
        await asyncio.to_thread(bool)  # other tasks run meanwhile


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock()


@pytest.fixture
def timing(clock: CountingClock) -> Timing:
    return Timing(clock, lambda: 1.0)


@pytest.fixture
def streak(timing: Timing, caplog: pytest.LogCaptureFixture) -> Streak:
    caplog.set_level(logging.DEBUG, LOG.name)
    return Streak("upload", timing, PAUSES, log=LOG, fields={"target": "x"})


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.message) for record in caplog.records if record.name == LOG.name]


def attempts(outcomes: Iterable[object]) -> Callable[[], object]:
    """A function that raises or returns the outcomes one after the other."""
    left = iter(outcomes)

    def attempt() -> object:
        outcome = next(left)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return attempt


# --- Streak


def test_pauses_double_up_to_the_cap_and_start_over_after_a_success(streak: Streak) -> None:
    assert [streak.failed(OSError("x")) for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    streak.succeeded()
    assert streak.failed(OSError("x")) == 1.0


def test_pauses_are_spread_over_their_upper_half(clock: CountingClock) -> None:
    numbers = iter([0.0, 0.5])
    streak = Streak("upload", Timing(clock, lambda: next(numbers)), PAUSES)
    assert [streak.pause(), streak.pause()] == [0.5, 1.5]


def test_a_cause_is_logged_once_and_the_end_of_the_streak_too(
    streak: Streak, clock: CountingClock, caplog: pytest.LogCaptureFixture
) -> None:
    for cause in ("first", "first", "second"):
        streak.failed(OSError(cause))
        clock.move(5.0)
    streak.succeeded()
    assert logged(caplog) == [
        ("WARNING", "upload-failed"),
        ("DEBUG", "upload-failed"),
        ("WARNING", "upload-failed"),
        ("INFO", "upload-recovered"),
    ]
    fields = [record.__dict__["fields"] for record in caplog.records]
    assert fields[1] == {"target": "x", "cause": "first", "failures": 2}
    assert fields[3] == {"target": "x", "failures": 3, "seconds": 15.0}
    assert all(record.exc_info is None for record in caplog.records)


def test_a_bug_is_an_error_with_a_traceback(streak: Streak, caplog: pytest.LogCaptureFixture) -> None:
    streak.failed(KeyError("x"), is_bug=True)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info is not None


def test_success_without_a_failure_is_not_logged(streak: Streak, caplog: pytest.LogCaptureFixture) -> None:
    streak.succeeded()
    assert logged(caplog) == []


# --- until_done


async def test_work_is_retried_until_it_succeeds(streak: Streak, timing: Timing, clock: CountingClock) -> None:
    attempt = attempts([OSError("1"), OSError("2"), "done"])

    async def work() -> object:
        return attempt()

    assert await until_done(work, streak, timing, expected=(OSError,)) == "done"
    assert clock.pauses == [1.0, 2.0]
    assert streak.failures == 0


async def test_a_bug_is_raised_or_retried(streak: Streak, timing: Timing, clock: CountingClock) -> None:
    attempt = attempts([KeyError("raised"), KeyError("retried"), "done"])

    async def work() -> object:
        return attempt()

    with pytest.raises(KeyError, match="raised"):
        await until_done(work, streak, timing, expected=(OSError,))
    assert await until_done(work, streak, timing, expected=(OSError,), bugs=Bugs.RETRY) == "done"
    assert clock.pauses == [1.0]


# --- for_ever


async def test_a_loop_waits_as_long_as_its_work_says(streak: Streak, timing: Timing, clock: CountingClock) -> None:
    attempt = attempts([3.0, KeyError("a bug"), OSError("expected"), 7.0, asyncio.CancelledError()])

    async def work() -> float | None:
        pause = attempt()
        assert isinstance(pause, float)
        return pause

    with pytest.raises(asyncio.CancelledError):
        await for_ever(work, streak, timing, expected=(OSError,), pause_first=9.0)
    assert clock.pauses == [9.0, 3.0, 1.0, 2.0, 7.0]


async def test_an_event_during_the_work_is_not_lost(streak: Streak, timing: Timing) -> None:
    wake, rounds = asyncio.Event(), 0

    async def work() -> float | None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            wake.set()
        if rounds == 3:
            raise asyncio.CancelledError
        if rounds == 2:
            asyncio.get_running_loop().call_soon(wake.set)
        return None

    with pytest.raises(asyncio.CancelledError):
        await for_ever(work, streak, timing, wake=wake)
    assert rounds == 3


async def test_an_event_ends_the_pause_after_a_failure() -> None:
    clock, wake, failed, done = MovedClock(0.0), asyncio.Event(), asyncio.Event(), asyncio.Event()
    timing = Timing(clock, lambda: 1.0)
    attempt = attempts([OSError("x"), 60.0])

    async def work() -> float | None:
        event = done if failed.is_set() else failed
        event.set()
        pause = attempt()
        assert isinstance(pause, float)
        return pause

    streak = Streak("upload", timing, PAUSES, log=LOG)
    loop = asyncio.create_task(for_ever(work, streak, timing, expected=(OSError,), wake=wake), name="loop")
    await wait_until_async(lambda: failed.is_set() and clock.next_wake is not None, 10, "the pause")
    wake.set()
    async with asyncio.timeout(10):
        await done.wait()
    assert clock.now() == 0.0
    await end_all(loop)


async def test_a_loop_that_waits_for_an_event_needs_one(streak: Streak, timing: Timing) -> None:
    async def work() -> None:
        return None

    with pytest.raises(ValueError, match="wake="):
        await for_ever(work, streak, timing)
