"""The context of a status, and which job's state it shows where several jobs build one commit."""

import pytest

from danube_pkg.core.notifications.commit_statuses import SKIPPED, commit_status, worst_of
from danube_pkg.core.notifications.outbox import JobNotification
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace

SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
PUSH = JobNotification(
    "01j",
    "app",
    Status.SUCCESS,
    "",
    "",
    "https://git.example.org/team/app",
    SHA,
    "refs/heads/main",
    "webhook",
    "a",
    0.0,
)
PULL = replace(PUSH, ref="refs/pull/7/head", pull_request={"number": 7})


@pytest.mark.parametrize(
    ("notification", "context"),
    [
        (PUSH, "danube/app/push"),
        (replace(PUSH, trigger="manual", ref="topic"), "danube/app/push"),
        (replace(PUSH, trigger="cron"), "danube/app/push"),
        (replace(PUSH, ref="refs/tags/v1"), "danube/app/tag"),
        (PULL, "danube/app/pr"),
        (replace(PULL, trigger="manual"), "danube/app/pr"),
    ],
)
def test_each_kind_of_job_has_a_context_of_its_own(notification: JobNotification, context: str) -> None:
    assert commit_status(notification, "").context == context


SUPERSEDED = (Status.CANCELLED, Reason.SUPERSEDED)


@pytest.mark.parametrize(
    ("newest", "shown"),
    [
        ([(Status.SUCCESS, "")], 0),
        ([(Status.FAILURE, ""), (Status.SUCCESS, "")], 0),
        ([(Status.FAILURE, ""), (Status.RUNNING, "")], 0),
        ([(Status.TIMEOUT, ""), (Status.SUCCESS, SKIPPED)], 0),
        ([(Status.SUCCESS, ""), (Status.FAILURE, "")], 1),
        ([(Status.SUCCESS, ""), (Status.PENDING, ""), (Status.SUCCESS, "")], 1),
        ([(Status.SUCCESS, ""), (Status.PENDING, ""), (Status.RUNNING, "")], 1),
        ([(Status.CANCELLED, Reason.CANCELLED), (Status.SUCCESS, "")], 0),
        ([SUPERSEDED, (Status.SUCCESS, "")], 1),
        ([SUPERSEDED], 0),
        ([(Status.SUCCESS, ""), (Status.SUCCESS, "")], 1),
    ],
)
def test_a_context_shows_the_worst_of_the_newest_jobs(newest: list[tuple[Status, str]], shown: int) -> None:
    known = [
        replace(PULL, job_id=f"job {number}", ref=f"refs/pull/{number}/head", status=status, reason=reason)
        for number, (status, reason) in enumerate(newest)
    ]
    assert worst_of(known) == known[shown]


def test_a_status_names_failed_tests() -> None:
    tests = "2 of 9 tests failed: a, b"
    failed = replace(PUSH, status=Status.FAILURE, message="step 1 'pytest' failed with exit code 1", tests=tests)
    assert commit_status(failed, "").description == f"failed: {tests}"
    assert commit_status(replace(PUSH, tests="9 tests passed"), "").description == "succeeded: 9 tests passed"
