"""A matrix: its combinations, what belongs to a leg, and how failures of legs end it."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from danube._session import StepCall

from danube import DanubeError, Leg, MatrixFailed, StepResult, artifacts, step
from tests.sdk.session import RecordingSession, fail


def test_a_function_is_called_for_each_combination(session: RecordingSession) -> None:
    def body(leg: Leg) -> str:
        step.run(f"tox -e {leg['python']}", name="Tests")
        return leg["database"]

    exclude = [{"python": "3.11", "database": "postgres"}]
    results = step.matrix(body, exclude=exclude, python=["3.11", "3.12"], database=["sqlite", "postgres"])
    names = ["python=3.11, database=sqlite", "python=3.12, database=sqlite", "python=3.12, database=postgres"]
    assert list(results) == names
    assert {(call.name, call.leg, call.isolation) for call in session.calls} == {
        (f"{name}: Tests", name, 0) for name in names
    }
    assert [result.value for result in results.values()] == ["sqlite", "sqlite", "postgres"]
    assert all(result.ok for result in results.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "1 to 256 combinations"),
        ({"python": []}, "'python' needs a list"),
        ({"python": "3.11"}, "'python' needs a list"),
        ({"python": [3.11]}, "must be a str"),
        ({"n": [str(n) for n in range(20)], "m": [str(n) for n in range(20)]}, "1 to 256 combinations"),
        ({"python": ["3"], "exclude": [{"python": "3"}]}, "1 to 256 combinations"),
        ({"python": ["3"], "exclude": [{"pyhton": "3"}]}, "'pyhton', which is not an axis"),
        ({"python": ["x" * 200]}, "at most 200 bytes"),
        ({"python": ["3"], "max_parallel": 0}, "from 1 to 64"),
        ({"python": ["3"], "isolated": True}, "cannot isolate"),
    ],
)
def test_a_matrix_that_cannot_be_run_is_refused(
    session: RecordingSession, arguments: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(DanubeError, match=message) as refusal:
        step.matrix(lambda leg: None, **arguments)
    assert refusal.value.hint
    assert session.calls == []


def test_all_legs_end_and_the_failure_names_how_many_failed(
    session: RecordingSession, capfd: pytest.CaptureFixture[str]
) -> None:
    session.ends["n=2: Tests"] = fail
    with pytest.raises(MatrixFailed) as failure:
        step.matrix(lambda leg: step.run("test", name="Tests"), n=["1", "2", "3"])
    assert failure.value.what == "1 of 3 legs failed; step 'n=2: Tests' failed with exit code 3"
    assert failure.value.result.name == "n=2: Tests"
    assert [result.status for result in failure.value.results.values()] == ["success", "failure", "success"]
    printed = capfd.readouterr().out.splitlines()
    assert printed == [
        "leg n=1: success",
        "leg n=2: failure: step 'n=2: Tests' failed with exit code 3",
        "leg n=3: success",
    ]


def test_an_error_of_the_function_is_raised_as_it_is(session: RecordingSession) -> None:
    def body(leg: Leg) -> None:
        raise KeyError(leg["n"])

    with pytest.raises(KeyError) as error:
        step.matrix(body, n=["1"])
    assert error.value.__notes__ == ["in leg 'n=1' of the matrix"]


def test_fail_fast_stops_the_steps_of_other_legs(session: RecordingSession) -> None:
    both_run = threading.Barrier(2)

    def fails(call: StepCall) -> StepResult:
        both_run.wait()
        return fail(call)

    def runs_on(call: StepCall) -> StepResult:
        both_run.wait()
        return session.until_stopped(call)

    session.ends = {"n=1: First": fails, "n=2: First": runs_on}

    def body(leg: Leg) -> None:
        step.run("test", name="First")
        step.run("test", name="Second")

    with pytest.raises(MatrixFailed) as failure:
        step.matrix(body, n=["1", "2", "3"], fail_fast=True, max_parallel=2)
    assert [result.status for result in failure.value.results.values()] == ["failure", "cancelled", "cancelled"]
    assert sorted(session.ended) == ["n=1: First", "n=2: First"]


def test_no_more_than_max_parallel_legs_run_at_once(session: RecordingSession) -> None:
    lock, running, most = threading.Lock(), 0, 0
    pairs = threading.Barrier(2)

    def body(leg: Leg) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pairs.wait()
        with lock:
            running -= 1

    step.matrix(body, n=[str(n) for n in range(6)], max_parallel=2)
    assert most == 2


def isolated_legs(session: RecordingSession, directory: Path, names: Sequence[str]) -> None:
    """Workspaces as a runtime makes them, each with a file."""
    session.leg_workspaces = str(directory)
    for number, name in enumerate(names, 1):
        (directory / str(number)).mkdir(parents=True)
        (directory / str(number) / "out.txt").write_text(name)


def test_isolated_legs_have_numbers_and_artifacts_of_their_own(session: RecordingSession, tmp_path: Path) -> None:
    isolated_legs(session, tmp_path / "legs", ["one", "two"])

    def body(leg: Leg) -> None:
        step.run("make", name="Build")
        artifacts.upload("out.txt", name=f"out-{leg['n']}")
        leg.keep("out.txt", f"kept/{leg['n']}.txt")

    step.matrix(body, n=["1", "2"], isolated=True)
    assert {(call.leg, call.isolation) for call in session.calls} == {("n=1", 1), ("n=2", 2)}
    kept = {name: b"".join(chunks()) for name, (_, chunks) in session.uploads.items()}
    assert kept == {"out-1": b"one", "out-2": b"two"}
    assert (tmp_path / "kept/2.txt").read_text() == "two"


@pytest.mark.parametrize(
    ("path", "to", "reference"),
    [
        ("none", "a", "leg-file-missing"),
        ("out.txt", "there", "leg-file-exists"),
        ("out.txt", "../outside", "leg-outside"),
        ("../2/out.txt", "a", "leg-outside"),
        ("link/passwd", "a", "leg-outside"),
    ],
)
def test_what_a_leg_cannot_keep_is_refused(
    session: RecordingSession, tmp_path: Path, path: str, to: str, reference: str
) -> None:
    isolated_legs(session, tmp_path / "legs", ["one", "two"])
    (tmp_path / "there").write_text("")
    (tmp_path / "legs/1/link").symlink_to("/etc")
    with pytest.raises(DanubeError) as refusal:
        step.matrix(lambda leg: leg.keep(path, to), n=["1"], isolated=True)
    assert refusal.value.reference == reference
    assert refusal.value.hint


def test_isolated_legs_have_no_isolated_legs(session: RecordingSession, tmp_path: Path) -> None:
    isolated_legs(session, tmp_path / "legs", ["one"])

    def body(leg: Leg) -> None:
        step.matrix(lambda inner: None, m=["1"], isolated=True)

    with pytest.raises(DanubeError, match="cannot have isolated legs"):
        step.matrix(body, n=["1"], isolated=True)
