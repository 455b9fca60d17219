"""A disk that fills up and empties again: nothing is lost or doubled, and every job ends as planned."""

from dataclasses import replace

import pytest

from tests.sim.faults import CrashPlan
from tests.sim.scenarios import Scenario
from tests.sim.simulation import simulate
from tests.sim.small_jobs import CANCELS, EACH, ENDLESS, STOPPED

TIMES = [0.7, 1.75, 3.1, 5.05]
"""Before, within and after each phase of the jobs."""


def jobs_at_once(seed: int = 5) -> Scenario:
    return Scenario(seed=seed, plans=tuple(EACH.values()), cancels=CANCELS)


WHAT = ["database", "locked", "log"]
SECONDS = [0.05, 5.0, 200.0]


def fill(what: str, seconds: float, begin: float) -> None:
    simulate(replace(jobs_at_once(), full={what: [(begin, begin + seconds)]}), rerun=f"{what} from {begin} on")


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("seconds", SECONDS)
def test_a_disk_that_is_full_for_a_while(what: str, seconds: float) -> None:
    """Each of `TIMES` with each kind of storage, over the three durations."""
    fill(what, seconds, TIMES[(WHAT.index(what) + SECONDS.index(seconds)) % len(TIMES)])


@pytest.mark.fuzz
@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("begin", TIMES)
def test_a_disk_that_is_full_at_any_time(what: str, begin: float) -> None:
    for seconds in SECONDS:
        fill(what, seconds, begin)


@pytest.mark.parametrize("times", [TIMES[1:2], pytest.param(TIMES, marks=pytest.mark.fuzz)])
def test_a_server_that_crashes_while_the_disk_is_full(times: list[float]) -> None:
    for begin in times:
        full = {"database": [(begin, begin + 4)], "log": [(begin, begin + 6)]}
        for turn in (200, 600, 1500):
            scenario = replace(jobs_at_once(), full=full, crashes=CrashPlan(turns=frozenset({turn})))
            simulate(scenario, rerun=f"full from {begin} on, crashed at turn {turn}")


def test_a_disk_that_is_full_repeatedly() -> None:
    full = {
        "database": [(at / 10, at / 10 + 0.05) for at in range(0, 300, 2)],
        "log": [(at / 10, at / 10 + 0.05) for at in range(0, 300, 3)],
    }
    simulate(replace(jobs_at_once(), full=full))


def test_a_full_log_does_not_keep_a_cancelled_step_running() -> None:
    """The log line about the stop has no room; the processes are ended nevertheless."""
    state = simulate(Scenario(seed=1, plans=(STOPPED,), cancels=CANCELS, full={"log": [(4.0, 300.0)]}))
    (step,) = (step for (name, _), step in state.machine.steps.items() if name.endswith("-0001"))
    assert step.killed
    assert step.ended_at is not None
    assert step.ended_at < 30


def test_a_deadline_that_cannot_be_stored_is_applied_as_soon_as_it_can() -> None:
    state = simulate(Scenario(seed=1, plans=(ENDLESS,), full={"database": [(15.0, 60.0)]}))
    (step,) = (step for (name, _), step in state.machine.steps.items() if name.endswith("-0001"))
    assert step.ended_at is not None
    assert 60 <= step.ended_at < 120
