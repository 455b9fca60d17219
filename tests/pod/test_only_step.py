"""`danube run --step`: one step runs with the services around it, and a name that no step has is a failure."""

import pytest
from danube._session import StepCall

from danube_pkg.pod.only_step import OnlyStep


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
    only.wants(call("Tests"))
    assert only.problem == "no step is called 'Test'; there are: 'Tests'"
    only.wants(call("Test"))
    assert only.problem == ""
    assert OnlyStep("").problem == ""
