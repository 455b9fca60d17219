"""Explanations of a job, with the command to run next."""

import pytest

from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import Obstacle, QueuePosition
from danube_pkg.core.jobs.reports import CaseStatus, PastResult, ReportCounts, is_flaky, summary_of_tests
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import Environment, PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace

JOB = Job("02", "id-app", "app", Trigger("manual", "alice", Revision("c0ffee" * 6)), PipelineSettings("/x"), 0.0)


HOLDING = replace(JOB, id="00", pipeline="slow", phase=Phase.RUNNING)


@pytest.mark.parametrize(
    ("waiting", "sentence"),
    [
        (
            QueuePosition(Obstacle.SERVER_LIMIT, 2, 1, (HOLDING,)),
            "The server may run 1 job at a time (max_concurrent_jobs); now slow (00).",
        ),
        (
            QueuePosition(Obstacle.PIPELINE_LIMIT, 2, 3, (HOLDING,) * 7),
            "app may run 3 jobs at a time (max_concurrent_jobs); now slow (00),",
        ),
        (
            QueuePosition(Obstacle.GROUP, 2, 1, (HOLDING,), "group deploy"),
            "At most one job of its concurrency group deploy runs at a time; now",
        ),
        (
            QueuePosition(
                Obstacle.DISK, 2, held_by="only 9 MiB are free on the disk of /data", hint="danube image list"
            ),
            "The server starts no job, because only 9 MiB are free on the disk of /data.",
        ),
        (QueuePosition(Obstacle.NOTHING, 2), "Nothing is in its way; it starts in a moment."),
    ],
)
def test_a_waiting_job_names_its_obstacle_and_its_position(waiting: QueuePosition, sentence: str) -> None:
    found = explain(JOB, waiting, "")
    assert found.lines[0] == "The job waits in the queue; it is number 2 in the order of starting."
    assert found.lines[1].startswith(sentence)
    assert (found.position, found.waits_for) == (2, waiting.obstacle)


def test_some_of_many_blockers_are_named_and_the_others_counted() -> None:
    holding = tuple(replace(HOLDING, id=f"{number:02}") for number in range(9))
    assert explain(JOB, QueuePosition(Obstacle.SERVER_LIMIT, 1, 9, holding), "").lines[1].endswith("(04) and 4 more.")


def test_a_job_that_waits_for_a_group_hints_at_the_job_that_holds_it() -> None:
    assert explain(JOB, QueuePosition(Obstacle.GROUP, 1, 1, (HOLDING,), "group deploy"), "").hint == "danube explain 00"


def test_draining_is_named_before_the_queue() -> None:
    found = explain(JOB, QueuePosition(Obstacle.NOTHING, 1), "alice@example.com")
    assert "alice@example.com is draining" in found.lines[1]
    assert found.hint == "danube resume"


def test_a_missing_approval_hints_at_the_command() -> None:
    found = explain(replace(JOB, reason=Reason.APPROVAL_REQUIRED), QueuePosition(Obstacle.APPROVAL), "")
    assert found.hint.startswith("danube approve 02 c0ffee")


def test_a_failure_hints_at_its_fix() -> None:
    failed = replace(
        JOB, phase=Phase.CLOSED, status=Status.FAILURE, reason=Reason.OUT_OF_MEMORY, message="it used too much"
    )
    found = explain(failed, None, "")
    assert found.lines == ("The job ended as failure (out-of-memory).", "It used too much.")
    assert "memory_mb" in found.hint


def test_a_success_names_the_records_it_rests_on() -> None:
    assert (
        "authentic record of its end"
        in explain(replace(JOB, phase=Phase.CLOSED, status=Status.SUCCESS), None, "").lines[0]
    )


FAILED = ReportCounts(1, 113, 7, 0, ("a", "b", "c", "d", "e"))


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILURE])
def test_failed_tests_are_named_of_green_and_red_jobs(status: Status) -> None:
    job = replace(JOB, phase=Phase.CLOSED, status=status, reports=(FAILED,))
    assert "7 of 120 tests failed: a, b, c, d, e and 2 more." in explain(job, None, "").lines


@pytest.mark.parametrize(
    ("reports", "sentence"),
    [
        ((), ""),
        ((ReportCounts(1, 1, 0, 0),), "1 test passed"),
        ((ReportCounts(1, 4, 0, 1), ReportCounts(2, 4, 0, 1)), "8 tests passed, 2 skipped"),
        ((ReportCounts(1, 4, 0, 1), ReportCounts(2, 4, 1, 0, ("x",))), "1 of 9 tests failed: x"),
    ],
)
def test_reports_are_summed(reports: tuple[ReportCounts, ...], sentence: str) -> None:
    assert summary_of_tests(reports) == sentence


def test_a_test_that_failed_and_passed_on_one_commit_is_flaky() -> None:
    one, other = PastResult("2", "c0ffee", True), PastResult("1", "c0ffee", False)
    assert is_flaky(CaseStatus.FAILED, [one, other])
    assert is_flaky(CaseStatus.FLAKY, [])
    assert not is_flaky(CaseStatus.FAILED, [one, replace(other, commit_sha="beef")])
    assert not is_flaky(CaseStatus.FAILED, [replace(one, commit_sha=""), replace(other, commit_sha="")])


def test_a_job_that_waits_for_an_environment_says_who_may_approve_and_until_when() -> None:
    environment = Environment("production", ("ops", "carol@example.com"))
    approval = EnvironmentApproval(1, "production", 1_800_000_000.0, 1_800_003_600.0)
    job = replace(
        JOB,
        phase=Phase.RUNNING,
        status=Status.RUNNING,
        settings=PipelineSettings("repo", environments=(environment,)),
        approvals=(approval,),
    )
    found = explain(job, None, "")
    assert found.lines[0].startswith("The job waits for approval of the environment production, since 2")
    assert found.lines[1].startswith("It may be approved by ops, carol@example.com, until 2")
    assert found.lines[2] == f"It was started by {job.trigger.actor}, who may not approve it."
    assert found.hint == f"danube approve {job.id}"
    decided = replace(approval, state=ApprovalState.APPROVED, decided_by="bob")
    behind = explain(replace(job, approvals=(decided,)), None, "")
    assert behind.lines[0] == "bob approved the environment production."
    assert "as soon as a slot" in behind.lines[1]
