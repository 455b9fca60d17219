"""Why a job is as it is, in sentences that name the next thing to do."""

import pytest

from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import Obstacle, QueuePosition
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace

JOB = Job("02", "id-app", "app", Trigger("manual", "alice", commit_sha="c0ffee" * 6), PipelineSettings("/x"), 0.0)


HOLDING = replace(JOB, id="00", pipeline="slow", phase=Phase.RUNNING)


@pytest.mark.parametrize(
    ("waiting", "sentence"),
    [
        (
            QueuePosition(Obstacle.SERVER_LIMIT, 2, 1, (HOLDING,)),
            "The server has 1 place (max_concurrent_jobs), taken by slow (00).",
        ),
        (
            QueuePosition(Obstacle.PIPELINE_LIMIT, 2, 3, (HOLDING,) * 7),
            "app has 3 places of its own (max_concurrent_jobs), taken by",
        ),
        (
            QueuePosition(Obstacle.GROUP, 2, 1, (HOLDING,), "group deploy"),
            "At most one job of its concurrency group deploy runs, and",
        ),
        (QueuePosition(Obstacle.NO_FOLLOW_UP, 2), "A place is free; it starts in a moment."),
    ],
)
def test_the_queue_names_what_is_in_the_way_and_the_place_in_the_order(waiting: QueuePosition, sentence: str) -> None:
    found = explain(JOB, waiting, "")
    assert found.lines[0] == "The job waits in the queue; it is number 2 in the order of starting."
    assert found.lines[1].startswith(sentence)
    assert (found.position, found.waits_for) == (2, waiting.obstacle)


def test_of_many_in_the_way_some_are_named_and_all_are_counted() -> None:
    holding = tuple(replace(HOLDING, id=f"{number:02}") for number in range(9))
    assert explain(JOB, QueuePosition(Obstacle.SERVER_LIMIT, 1, 9, holding), "").lines[1].endswith("(04) and 4 more.")


def test_who_waits_for_a_group_is_led_to_the_job_that_holds_it() -> None:
    assert explain(JOB, QueuePosition(Obstacle.GROUP, 1, 1, (HOLDING,), "group deploy"), "").hint == "danube explain 00"


def test_draining_is_said_before_the_queue() -> None:
    found = explain(JOB, QueuePosition(Obstacle.NO_FOLLOW_UP, 1), "alice@example.com")
    assert "alice@example.com is draining" in found.lines[1]
    assert found.hint == "danube resume"


def test_an_approval_that_is_missing() -> None:
    found = explain(replace(JOB, reason=Reason.APPROVAL_REQUIRED), QueuePosition(Obstacle.APPROVAL), "")
    assert found.hint.startswith("danube approve 02 c0ffee")


def test_a_failure_ends_with_what_mends_it() -> None:
    failed = replace(
        JOB, phase=Phase.CLOSED, status=Status.FAILURE, reason=Reason.OUT_OF_MEMORY, message="it used too much"
    )
    found = explain(failed, None, "")
    assert found.lines == ("The job ended as failure (out-of-memory).", "It used too much.")
    assert "memory_mb" in found.hint


def test_a_green_job_says_why_it_is_green() -> None:
    assert "record of its end" in explain(replace(JOB, phase=Phase.CLOSED, status=Status.SUCCESS), None, "").lines[0]
