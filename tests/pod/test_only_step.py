"""`danube run --step`: one step runs with the services around it, and a name that no step has is a failure."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from danube._session import StepCall

from danube_pkg.pod.coordinator import with_problem
from danube_pkg.pod.only_step import OnlyStep
from danube_pkg.pod.script import Outcome


def call(name: str, leg: str = "", *, is_service: bool = False) -> StepCall:
    return StepCall(1, name, "true", "", {}, "/workspace", 0, 0, True, leg=leg, is_service=is_service)


@pytest.mark.parametrize(
    ("wanted", "step", "runs"),
    [
        ("", call("Build"), True),
        ("Tests", call("Build"), False),
        ("Tests", call("Tests"), True),
        ("Tests", call("db", is_service=True), True),
        ("Tests", call("python=3.12: Tests", "python=3.12"), True),
        ("python=3.12: Tests", call("python=3.11: Tests", "python=3.11"), False),
    ],
)
def test_a_step_runs_if_it_is_named(wanted: str, step: StepCall, runs: bool) -> None:
    assert OnlyStep(wanted).wants(step) is runs


def test_a_name_that_no_step_has_is_a_problem() -> None:
    only = OnlyStep("Test")
    assert only.problem == "no step is called 'Test'; there are: none"
    assert not only.has_left_out
    only.wants(call("Tests"))
    assert only.has_left_out
    assert only.problem == "no step is called 'Test'; there are: 'Tests'"
    only.wants(call("Test"))
    assert only.problem == ""
    assert OnlyStep("").problem == ""


def test_an_approval_is_requested_before_the_next_step_that_runs_and_once() -> None:
    only, asked = OnlyStep("Deploy"), list[str]()
    only.postpone("staging", lambda: asked.append("staging"))
    only.postpone("production", lambda: asked.append("production"))
    assert asked == []
    for _ in range(2):
        only.ask()
    assert asked == ["staging", "production"]


def test_a_step_waits_for_an_approval_that_another_one_asks_for() -> None:
    only, answer, asked = OnlyStep("Deploy"), threading.Event(), threading.Event()

    def ask() -> None:
        asked.set()
        assert answer.wait(60)

    only.postpone("production", ask)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(only.ask)
        assert asked.wait(60)
        second = threads.submit(only.ask)
        assert not second.done()
        answer.set()
        assert first.result(60) is second.result(60) is None


@pytest.mark.parametrize(
    ("reason", "message", "shown"),
    [
        ("", "", ("script-error", "no step is called 'x'; there are: none", 0)),
        ("step-failed", "it is red", ("step-failed", "no step is called 'x'; there are: none; then: it is red", 3)),
    ],
)
def test_a_name_that_no_step_has_is_said_however_the_danubefile_ended(
    reason: str, message: str, shown: tuple[str, str, int]
) -> None:
    found = with_problem(Outcome(reason, message, 3 if reason else 0), OnlyStep("x").problem)
    assert (found.reason, found.message, found.step) == shown
