"""Systematic faults: in one run after another the server crashes at the next point, or the next commit or call fails.

A point is each moment at which a server touches the outside: before and after a commit, before and after each part of
a call of the runtime, at each write of a log and between its bytes and their index record.
"""

from dataclasses import replace

import pytest

from tests.sim.faults import CrashPlan
from tests.sim.simulation import simulate
from tests.sim.small_jobs import EACH, scenario_of
from tests.sim.state import SimulationState

PARTS = 6
"""Tests among which the points of the small job are divided, so that workers share them."""

EVERY = 3
"""On each push the small job is tried with every third point, and every third commit and call."""

STRIDE = 20
"""On each push larger jobs are tried with every twentieth point and call; trying all takes minutes (`make fuzz`)."""


def without_faults(name: str) -> SimulationState:
    return simulate(scenario_of(name))


def crash_at_points(name: str, points: range) -> None:
    for point in points:
        scenario = replace(scenario_of(name), crashes=CrashPlan(points=frozenset({point})))
        simulate(scenario, rerun=f"python -m tests.sim {name} --point {point}")


@pytest.mark.parametrize("first", range(1, PARTS + 1))
def test_the_server_crashes_at_many_points_of_a_small_job(first: int) -> None:
    crash_at_points("small", range(first, without_faults("small").faults.points + 1, PARTS * EVERY))


@pytest.mark.parametrize("name", ["forked", "lost", "endless", "stopped"])
def test_the_server_crashes_at_many_points_of_larger_jobs(name: str) -> None:
    crash_at_points(name, range(1, without_faults(name).faults.points + 1, STRIDE))


@pytest.mark.fuzz
@pytest.mark.parametrize("name", EACH)
def test_the_server_crashes_at_every_point(name: str) -> None:
    crash_at_points(name, range(1, without_faults(name).faults.points + 1))


@pytest.mark.fuzz
@pytest.mark.parametrize("name", EACH)
def test_the_server_crashes_twice_wherever_it_can(name: str) -> None:
    last = without_faults(name).faults.points
    for first in range(1, last + 1):
        for gap in (1, 3, 10, 30):
            crashes = CrashPlan(points=frozenset({first, first + gap}))
            simulate(
                replace(scenario_of(name), crashes=crashes),
                rerun=f"python -m tests.sim {name} --point {first} {first + gap}",
            )


def fail_commits(name: str, stride: int) -> None:
    for commit in range(1, without_faults(name).faults.commits + 1, stride):
        scenario = replace(scenario_of(name), failing_commits=frozenset({commit}))
        simulate(scenario, rerun=f"python -m tests.sim {name} --commit {commit}")


def fail_calls(name: str, stride: int) -> None:
    for call in range(1, without_faults(name).faults.calls + 1, stride):
        scenario = replace(scenario_of(name), failing_calls=frozenset({call}))
        simulate(scenario, rerun=f"python -m tests.sim {name} --call {call}")


@pytest.mark.parametrize("name", EACH)
def test_a_failed_commit_breaks_nothing(name: str) -> None:
    fail_commits(name, EVERY if name == "small" else 5)


@pytest.mark.parametrize("name", EACH)
def test_a_failed_runtime_call_breaks_nothing(name: str) -> None:
    fail_calls(name, EVERY if name == "small" else STRIDE)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", EACH)
def test_no_failed_commit_or_call_breaks_anything(name: str) -> None:
    fail_commits(name, 1)
    fail_calls(name, 1)
