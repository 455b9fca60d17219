"""The commit of a waiting job, and the events that a killed server meets again."""

import pytest

from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.transitions import MADE_AGAIN, may_be_stored_later
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from tests.core.jobs.test_transitions import NOW, RUNNING, a_job, a_step, after


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Revision("a" * 40, "main", branch="main"), Reason.QUEUED),
        (Revision("a" * 40, "v1", tag="v1"), Reason.QUEUED),
        (Revision("a" * 40, "refs/pull/7/head"), Reason.APPROVAL_REQUIRED),
    ],
)
def test_a_commit_that_is_found_later_lets_the_job_start_unless_others_may_set_its_ref(
    found: Revision, reason: Reason
) -> None:
    waiting = a_job(reason=Reason.RESOLVING, trigger=Trigger("manual", "me", Revision(ref=found.ref)))
    job, owed = after(ev.RefResolved(found), job=waiting)
    assert (job.phase, job.reason, job.trigger.revision, owed) == (Phase.QUEUED, reason, found, [])
    again, _ = after(ev.RefResolved(Revision("b" * 40, "main", branch="main")), job=job)
    assert again == job, "the commit is fixed by the first answer"


def test_a_job_whose_ref_names_nothing_ends_in_the_queue() -> None:
    job, owed = after(ev.RefRefused("it has no branch 'gone'"), job=a_job(reason=Reason.RESOLVING))
    assert (job.phase, job.status, job.outcome) == (Phase.CLOSED, Status.FAILURE, Status.FAILURE)
    assert (job.reason, job.message, job.finished_at) == (Reason.SOURCE_UNAVAILABLE, "it has no branch 'gone'", NOW + 1)
    assert owed == []


@pytest.mark.parametrize(
    ("event", "job"),
    [
        (ev.RefResolved(Revision("a" * 40)), a_job(reason=Reason.RESOLVING)),
        (ev.SourceOpened("no login"), after(ev.Admitted("pod"))[0]),
        (ev.StepRequested(1, "a", "host"), after(*RUNNING)[0]),
        (ev.StepStarted(1, 1, NOW), after(*RUNNING, *a_step(1)[:2])[0]),
    ],
)
def test_what_may_be_stored_later_owes_nothing_and_happens_again_without_harm(event: ev.JobEvent, job: Job) -> None:
    assert may_be_stored_later(job, event)
    changed, owed = after(event, job=job)
    assert owed == []
    assert (changed != job, after(event, job=changed)[0]) == (True, changed)


def test_the_end_of_a_step_and_its_container_are_always_stored_first() -> None:
    running = after(*RUNNING, *a_step(1))[0]
    assert set(MADE_AGAIN) == {ev.RefResolved, ev.SourceOpened, ev.StepRequested, ev.StepStarted}
    assert not may_be_stored_later(running, ev.SourceOpened("no login")), "the coordinator may have read it"
