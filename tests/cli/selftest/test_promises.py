"""Each broken promise is found, and a run that keeps all of them has no problem."""

import pytest

from danube_pkg.cli.selftest.machine_state import MachineState, growth_problems, state_rows
from danube_pkg.cli.selftest.promises import (
    MAX_PROBLEMS,
    EndedJob,
    SubmittedJob,
    artifact_problem,
    double_executions,
    end_problem,
    log_problem,
    lost_jobs,
    result,
)
from danube_pkg.cli.selftest.workload import JobKind, artifact_content, kinds
from danube_pkg.kit.records import replace

KINDS = {kind.name: kind for kind in kinds("127.0.0.1:1")}
WHOLE, FAILS = KINDS["whole"], KINDS["fails"]
MARKS = [f"mark 00000000-0000-0000-0000-00000000000{number}\n" for number in range(4)]
LINES = "".join(f"line-{number}=***\n" for number in range(WHOLE.lines))
REPORTED = {"begin": {"a"}, "end": {"a"}}


def ended(kind: JobKind, status: str, reason: str = "", log: str = "", *, killed: bool = False) -> EndedJob:
    return EndedJob(SubmittedJob(0, kind, "j"), status, reason, "why", log, pod_was_killed=killed)


GREEN = replace(ended(WHOLE, "success", log=LINES + "".join(MARKS[:3])), artifact=artifact_content())


def test_a_job_that_did_as_it_should_breaks_no_promise() -> None:
    assert (end_problem(GREEN), log_problem(GREEN), artifact_problem(GREEN)) == ("", "", "")
    assert double_executions(GREEN, REPORTED) == []
    assert lost_jobs([GREEN.submission], (), {"j": 0}) == []


def test_jobs_that_are_lost_doubled_or_not_wanted_are_found() -> None:
    accepted, unanswered = SubmittedJob(0, WHOLE, "a"), SubmittedJob(1, WHOLE)
    assert lost_jobs([accepted], (), {}) == ["accepted job a is not stored"]
    assert lost_jobs([accepted], (), {"a": 0, "b": 0}) == ["job b of submission 0 is a second one"]
    assert lost_jobs([], {2}, {"c": 2}) == ["job c is stored, and its submission 2 was refused"]
    assert lost_jobs([unanswered], (), {"d": 1}) == []
    assert len(lost_jobs([unanswered], (), {"d": 1, "e": 1})) == 2


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (ended(WHOLE, "running"), "has not ended"),
        (ended(WHOLE, "failure", "step-failed"), "ended as failure, step-failed: why; expected success"),
        (ended(FAILS, "success"), "ended as success, : why; expected failure step-failed"),
        (ended(FAILS, "failure", "pod-lost"), "expected failure step-failed"),
        (ended(WHOLE, "failure", "step-failed", killed=True), "lost its pod and ended with the reason step-failed"),
        (ended(FAILS, "success", killed=True), "expected failure"),
    ],
)
def test_an_end_that_is_not_true_is_found(job: EndedJob, found: str) -> None:
    assert found in end_problem(job)


def test_a_killed_pod_explains_an_end_by_the_infrastructure() -> None:
    assert end_problem(ended(WHOLE, "failure", "pod-lost", killed=True)) == ""


def test_what_ran_twice_is_found() -> None:
    twice = replace(GREEN, log=LINES + "".join(MARKS))
    assert double_executions(twice, REPORTED) == ["job j (whole): 4 executions of 3 steps"]
    assert double_executions(GREEN, {"begin": {"a", "b"}, "end": {"a"}}) == [
        "job j (whole): its script ran 2 times at 'begin'"
    ]
    assert double_executions(GREEN, {"begin": {"a"}}) == ["job j (whole) is green and reported ['begin']"]
    never = replace(GREEN, log=LINES)
    assert double_executions(never, REPORTED) == ["job j (whole) is green with 0 executions of 3 steps"]


def test_a_log_that_is_not_whole_is_found() -> None:
    doubled = LINES.replace("line-3=***\n", "line-3=***\nline-3=***\n")
    assert "… 2, 3, 3, 4, 5 …" in log_problem(replace(GREEN, log=doubled))
    assert "not 0, 1, 2" in log_problem(replace(GREEN, log=LINES.replace("line-3=***\n", "")))
    assert "149 of 150 lines" in log_problem(replace(GREEN, log=LINES.replace("line-149=***\n", "")))
    assert "not masked" in log_problem(replace(GREEN, log=LINES.replace("line-3=***", "line-3=value")))
    assert log_problem(ended(FAILS, "failure", "step-failed", "line-0=\nline-1=\n")) == ""  # cut off, without a gap


def test_an_artifact_with_other_content_is_found() -> None:
    assert "cannot be read" in artifact_problem(replace(GREEN, artifact=None))
    assert "other bytes" in artifact_problem(replace(GREEN, artifact=artifact_content()[:-1]))


def test_many_problems_are_counted() -> None:
    shown = result("x", [str(number) for number in range(100)])
    assert not shown.kept
    assert shown.problems[-1] == f"and {100 - MAX_PROBLEMS} more"
    assert result("x", ["", ""]).kept


STATE = MachineState(50, 1.0, 80.0, 30, 2, 1, {"process": 12, "mount": 3}, 1000, 2000, {"jobs": 50})
"""While jobs run."""

IDLE = replace(STATE, jobs=5000, memory_mb=100.0, files=33, of_pods={"process": 0, "mount": 0}, database_bytes=10**9)


def test_what_grows_with_the_number_of_jobs_is_found() -> None:
    assert growth_problems(STATE, IDLE) == []
    worse = replace(IDLE, memory_mb=200.0, files=60, workers=3, proxies=2, of_pods={"process": 1, "mount": 0})
    found = growth_problems(STATE, worse)
    assert len(found) == 5
    assert found[-1] == "process: what is left of pods grew from 0 to 1"


def test_the_table_has_a_column_for_each_state_and_a_row_for_each_figure() -> None:
    before = replace(STATE, jobs=0, of_pods={}, rows={})
    rows = {name: figures for name, *figures in state_rows([before, STATE, IDLE])}
    assert rows["jobs that have ended"] == ["0", "50", "5000"]
    assert rows["memory of the server, MB"] == ["80.0", "80.0", "100.0"]
    assert rows["of pods: process"] == ["0", "12", "0"]
    assert rows["rows of jobs"] == ["0", "50", "50"]
    assert {len(figures) for figures in rows.values()} == {3}
