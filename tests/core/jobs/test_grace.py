"""A job that is cancelled or reaches its deadline has a bounded time for clean-up, with its outcome decided."""

import pytest

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from tests.core.jobs.test_transitions import CLOSING, GREEN, NOW, RED, RUNNING, a_job, a_step, after

KILLED = ev.StepEnd(Status.CANCELLED, Reason.CANCELLED, "was stopped")
CANCEL = ev.CancelRequested("alice")


def graced() -> Job:
    return a_job(settings=PipelineSettings("repo", grace_seconds=30))


def test_a_cancelled_job_stays_open_for_its_clean_up_and_is_cancelled_whatever_that_does() -> None:
    waiting = ev.StepRequested(2, "step 2", "host")
    job, owed = after(*RUNNING, *a_step(1), waiting, CANCEL, job=graced())
    assert (job.phase, job.status, job.outcome) == (Phase.RUNNING, Status.RUNNING, Status.CANCELLED)
    assert (job.grace_until, job.cancelled_by, len(owed)) == (NOW + 31, "alice", 1)
    assert [step.sequence for step in job.interrupted_steps] == [1]
    not_started = job.step(2)
    assert not_started is not None
    assert (not_started.phase, not_started.status) == (StepPhase.ENDED, Status.CANCELLED)
    cleanup = [ev.StepEnded(1, 1, KILLED), *a_step(3, cleanup=True), ev.StepEnded(3, 1, GREEN)]
    job, _ = after(*cleanup, ev.Finished(), *CLOSING, job=job)
    assert (job.status, job.reason, job.message) == (Status.CANCELLED, Reason.CANCELLED, "cancelled by alice")


def test_only_steps_for_clean_up_run_in_a_job_that_is_ending() -> None:
    job, _ = after(*RUNNING, *a_step(1), CANCEL, ev.StepEnded(1, 1, KILLED), job=graced())
    with pytest.raises(Conflict, match="is ending and runs steps for clean-up only") as refusal:
        after(ev.StepRequested(2, "deploy", "host"), job=job)
    assert "cleanup=True" in refusal.value.hint
    assert after(ev.StepRequested(1, "step 1", "host"), job=job)[0] is job, "a repeated call gets its result"


def test_a_step_for_clean_up_that_runs_already_is_not_interrupted() -> None:
    job, _ = after(*RUNNING, *a_step(1, cleanup=True), CANCEL, job=graced())
    assert job.interrupted_steps == ()


def test_an_interrupted_step_is_not_tried_again() -> None:
    job, _ = after(*RUNNING, *a_step(1, retries=3), CANCEL, ev.StepEnded(1, 1, RED), job=graced())
    assert [step.sequence for step in job.open_steps] == [0]


def test_a_deadline_has_the_same_grace_and_the_next_one_is_its_own() -> None:
    job, _ = after(*RUNNING, *a_step(1), ev.DeadlinePassed(), job=graced())
    assert (job.phase, job.outcome, job.reason) == (Phase.RUNNING, Status.TIMEOUT, Reason.JOB_TIMEOUT)
    assert after(ev.DeadlinePassed(), job=job)[0] is job
    job, owed = after(ev.GraceEnded(), job=job)
    assert (job.phase, job.outcome, len(owed)) == (Phase.CONCLUDING, Status.TIMEOUT, 4)
    assert after(ev.GraceEnded(), job=job)[0] is job


@pytest.mark.parametrize(
    "end",
    [
        ev.CancelRequested("bob"),
        ev.GraceEnded(),
        ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "in finally")),
        ev.StepEnded(0, 1, ev.StepEnd(Status.FAILURE, exit_code=1)),
        ev.ContainerLost(0, Reason.POD_LOST, "the pod is gone"),
    ],
    ids=lambda end: type(end).__name__,
)
def test_whatever_ends_a_job_that_is_ending_leaves_its_outcome(end: ev.JobEvent) -> None:
    job, _ = after(*RUNNING, CANCEL, end, job=graced())
    assert (job.phase, job.outcome, job.reason) == (Phase.CONCLUDING, Status.CANCELLED, Reason.CANCELLED)
    assert (job.message, job.cancelled_by) == ("cancelled by alice", "alice")


def test_a_job_without_a_danubefile_that_runs_ends_at_once() -> None:
    job, _ = after(ev.Admitted("pod"), CANCEL, job=graced())
    assert job.phase is Phase.CONCLUDING
    job, _ = after(*RUNNING, CANCEL)  # grace_seconds: 0
    assert job.phase is Phase.CONCLUDING
