"""Why a job is as it is, in sentences that name the next thing to do."""

from dataclasses import replace

from danube_pkg.core.explaining import explain
from danube_pkg.core.jobs import Job, Phase, Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status

JOB = Job("02", "id-app", "app", Trigger("manual", "alice", commit_sha="c0ffee" * 6), PipelineSettings("/x"), 0.0)


def test_the_queue_names_what_holds_the_places() -> None:
    holding = replace(JOB, id="00", pipeline="slow", phase=Phase.RUNNING)
    before = replace(JOB, id="01")
    lines = explain(JOB, [holding, before, JOB], 1, "").lines
    assert lines[0] == "The job waits in the queue; 1 jobs are before it."
    assert "slow (00)" in lines[1]


def test_draining_is_said_before_the_queue() -> None:
    found = explain(JOB, [JOB], 4, "alice@example.com")
    assert "alice@example.com is draining" in found.lines[1]
    assert found.hint == "danube resume"


def test_an_approval_that_is_missing() -> None:
    found = explain(replace(JOB, reason=Reason.APPROVAL_REQUIRED), [], 4, "")
    assert found.hint.startswith("danube approve 02 c0ffee")


def test_a_failure_ends_with_what_mends_it() -> None:
    failed = replace(
        JOB, phase=Phase.CLOSED, status=Status.FAILURE, reason=Reason.OUT_OF_MEMORY, message="it used too much"
    )
    found = explain(failed, [], 4, "")
    assert found.lines == ("The job ended as failure (out-of-memory).", "It used too much.")
    assert "memory_mb" in found.hint


def test_a_green_job_says_why_it_is_green() -> None:
    assert "record of its end" in explain(replace(JOB, phase=Phase.CLOSED, status=Status.SUCCESS), [], 4, "").lines[0]
