"""Systematically: the server dies at each point, each commit fails, each call of the runtime fails, one after the other.

A point is each moment at which a server touches the world: before and after a commit, before and after each part of a call
of the runtime, at each write of a log and between its bytes and their index record.
"""

from dataclasses import replace

import pytest

from tests.sim.fate import Deaths
from tests.sim.jobs import EACH, scenario_of
from tests.sim.simulation import simulate
from tests.sim.world import World

STRIDE = 10
"""Of the larger jobs the everyday suite takes every tenth point and call; all of them take minutes (`make e2e`)."""


def undisturbed(name: str) -> World:
    return simulate(scenario_of(name))


def die_at_points(name: str, points: range) -> None:
    for point in points:
        scenario = replace(scenario_of(name), deaths=Deaths(points=frozenset({point})))
        simulate(scenario, rerun=f"python -m tests.sim {name} --point {point}")


def test_the_server_dies_at_every_point_of_a_small_job() -> None:
    die_at_points("small", range(1, undisturbed("small").fate.points + 1))


@pytest.mark.parametrize("name", ["forked", "lost", "endless", "stopped"])
def test_the_server_dies_at_many_points_of_larger_jobs(name: str) -> None:
    die_at_points(name, range(1, undisturbed(name).fate.points + 1, STRIDE))


@pytest.mark.long
@pytest.mark.parametrize("name", EACH)
def test_the_server_dies_at_every_point(name: str) -> None:
    die_at_points(name, range(1, undisturbed(name).fate.points + 1))


@pytest.mark.long
@pytest.mark.parametrize("name", EACH)
def test_the_server_dies_twice_wherever_it_can(name: str) -> None:
    last = undisturbed(name).fate.points
    for first in range(1, last + 1):
        for gap in (1, 3, 10, 30):
            deaths = Deaths(points=frozenset({first, first + gap}))
            simulate(
                replace(scenario_of(name), deaths=deaths),
                rerun=f"python -m tests.sim {name} --point {first} {first + gap}",
            )


@pytest.mark.parametrize("name", EACH)
def test_commits_fail_once_each(name: str) -> None:
    for commit in range(1, undisturbed(name).fate.commits + 1, 1 if name == "small" else 3):
        scenario = replace(scenario_of(name), failing_commits=frozenset({commit}))
        simulate(scenario, rerun=f"python -m tests.sim {name} --commit {commit}")


@pytest.mark.parametrize("name", EACH)
def test_calls_of_the_runtime_fail_once_each(name: str) -> None:
    for call in range(1, undisturbed(name).fate.calls + 1, 1 if name == "small" else STRIDE):
        scenario = replace(scenario_of(name), failing_calls=frozenset({call}))
        simulate(scenario, rerun=f"python -m tests.sim {name} --call {call}")
