"""A disk that fills up, and empties again: nothing is lost, nothing is there twice, and every job ends as it should."""

from dataclasses import replace

import pytest

from tests.sim.fate import Deaths
from tests.sim.jobs import CANCELS, EACH, ENDLESS, STOPPED
from tests.sim.scenarios import Scenario
from tests.sim.simulation import simulate

MOMENTS = [0.7, 1.75, 3.1, 5.05]
"""Before, within and behind each part of the jobs' lives."""


def jobs_at_once(seed: int = 5) -> Scenario:
    return Scenario(seed=seed, plans=tuple(EACH.values()), cancels=CANCELS)


@pytest.mark.parametrize("what", ["database", "locked", "log"])
@pytest.mark.parametrize("seconds", [0.05, 5.0, 200.0])
def test_no_room_for_a_while(what: str, seconds: float) -> None:
    for begin in MOMENTS:
        simulate(replace(jobs_at_once(), full={what: [(begin, begin + seconds)]}), rerun=f"{what} from {begin} on")


def test_no_room_for_anything_and_the_server_dies_of_it() -> None:
    for begin in MOMENTS:
        full = {"database": [(begin, begin + 4)], "log": [(begin, begin + 6)]}
        for turn in (200, 600, 1500):
            scenario = replace(jobs_at_once(), full=full, deaths=Deaths(turns=frozenset({turn})))
            simulate(scenario, rerun=f"full from {begin} on, dead at turn {turn}")


def test_a_disk_that_is_full_again_and_again() -> None:
    full = {
        "database": [(at / 10, at / 10 + 0.05) for at in range(0, 300, 2)],
        "log": [(at / 10, at / 10 + 0.05) for at in range(0, 300, 3)],
    }
    simulate(replace(jobs_at_once(), full=full))


def test_a_full_log_does_not_keep_a_cancelled_step_running() -> None:
    """The word that it is being stopped has no room; its processes go all the same."""
    world = simulate(Scenario(seed=1, plans=(STOPPED,), cancels=CANCELS, full={"log": [(4.0, 300.0)]}))
    (step,) = (step for (name, _), step in world.machine.steps.items() if name.endswith("-0001"))
    assert step.killed
    assert step.ended_at is not None
    assert step.ended_at < 30


def test_a_deadline_that_cannot_be_written_down_is_kept_as_soon_as_it_can() -> None:
    world = simulate(Scenario(seed=1, plans=(ENDLESS,), full={"database": [(15.0, 60.0)]}))
    (step,) = (step for (name, _), step in world.machine.steps.items() if name.endswith("-0001"))
    assert step.ended_at is not None
    assert 60 <= step.ended_at < 120
