"""The rules of a job's life, by events that are passed to `decide` one after the other."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import IllegalEvent
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase, Provenance
from danube_pkg.core.jobs.outcome import publish
from danube_pkg.core.jobs.reports import ReportCounts
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.jobs.transitions import IGNORED, TRANSITIONS, decide
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import HINTS, Reason, Status, run_hint
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.digests import EMPTY, Digest
from danube_pkg.kit.records import replace

NOW = 1_800_000_000.0
GREEN = ev.StepEnd(Status.SUCCESS, exit_code=0)
RED = ev.StepEnd(Status.FAILURE, Reason.STEP_FAILED, exit_code=3)


def a_job(**changes: object) -> Job:
    job = Job("01j", "p1", "hello", Trigger("manual", "me"), PipelineSettings("repo"), created_at=NOW)
    return replace(job, **changes)  # type: ignore[arg-type]


def test_the_label_of_a_job_reads_well_whatever_the_pipeline_is_called() -> None:
    assert [a_job(pipeline=name).label for name in ("hello", "a")] == ["job 01j of hello", "job 01j of a"]


def after(*events: ev.JobEvent, job: Job | None = None) -> tuple[Job, list[Effect]]:
    job, owed = job or a_job(), list[Effect]()
    for event in events:
        job, effects = decide(job, event, NOW + 1)
        owed.extend(effects)
    return job, owed


def a_step(sequence: int, **asked: object) -> list[ev.JobEvent]:
    return [
        ev.StepRequested(sequence, f"step {sequence}", "host", **asked),  # type: ignore[arg-type]
        ev.StepPlaced(sequence, 1, 1),
        ev.StepStarted(sequence, 1, NOW),
    ]


RUNNING: Sequence[ev.JobEvent] = (ev.Admitted("pod"), ev.PodReady(0))
CLOSING: Sequence[ev.JobEvent] = (
    ev.StepsStopped(),
    ev.LogClosed({}),
    ev.ProvenanceSigned(b"{}", "key"),
    ev.PodDeleted(),
)


def test_a_job_whose_steps_succeeded_is_a_success_only_when_its_provenance_is_signed() -> None:
    job, owed = after(*RUNNING, *a_step(1), ev.StepEnded(1, 1, GREEN), ev.Finished())
    assert (job.status, job.outcome, job.phase) == (Status.RUNNING, Status.SUCCESS, Phase.CONCLUDING)
    assert [effect.kind for effect in owed] == [
        EffectKind.CREATE_POD,
        EffectKind.STOP_STEPS,
        EffectKind.CLOSE_LOG,
        EffectKind.SIGN_PROVENANCE,
        EffectKind.DELETE_POD,
    ]
    job, _ = after(ev.StepsStopped(), ev.LogClosed({1: (5, 9)}), job=job)
    assert (job.status, job.phase, job.finished_at) == (Status.RUNNING, Phase.SIGNING, NOW + 1)
    job, _ = after(ev.ProvenanceSigned(b"envelope", "key"), job=job)
    assert job.provenance == Provenance(b"envelope", "key")
    assert (job.status, job.phase) == (Status.SUCCESS, Phase.ENDED)
    step = job.step(1)
    assert step is not None
    assert (step.log_begin, step.log_end) == (5, 9)
    job, _ = after(ev.PodDeleted(), job=job)
    assert job.phase is Phase.CLOSED


def test_the_commit_that_is_read_replaces_the_tag_object_that_a_delivery_named() -> None:
    job = a_job(trigger=Trigger("tag", "me", revision=Revision("a" * 40, "v1", tag="v1")))
    job, _ = after(ev.Admitted("pod"), ev.SourceOpened("no login", "b" * 40, "the release", "Ada"), job=job)
    assert job.trigger.revision == Revision("b" * 40, "v1", "", "v1", "the release", "Ada")


@pytest.mark.parametrize(
    ("events", "status", "reason"),
    [
        ([ev.StepEnded(0, 1, GREEN)], Status.FAILURE, Reason.SCRIPT_EXITED),
        ([ev.StepEnded(0, 1, ev.StepEnd(Status.FAILURE, signal=9))], Status.FAILURE, Reason.INFRASTRUCTURE_LOST),
        ([ev.StepEnded(0, 1, ev.StepEnd(Status.FAILURE, signal=15))], Status.FAILURE, Reason.INFRASTRUCTURE_LOST),
        ([ev.StepEnded(0, 1, ev.StepEnd(Status.FAILURE, signal=11))], Status.FAILURE, Reason.SCRIPT_EXITED),
        ([*a_step(1), ev.Finished()], Status.FAILURE, Reason.STEP_OPEN),
        ([*a_step(1), ev.StepEnded(1, 1, RED), ev.Finished()], Status.FAILURE, Reason.STEP_FAILED),
        ([*a_step(1, check=False), ev.StepEnded(1, 1, RED), ev.Finished()], Status.SUCCESS, Reason.NONE),
        (
            [ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "ValueError"))],
            Status.FAILURE,
            Reason.SCRIPT_ERROR,
        ),
        *(
            ([ev.ContainerLost(0, reason, "gone")], Status.FAILURE, reason)
            for reason in Reason
            if reason.ends_containers
        ),
        (
            [*a_step(1, check=False), ev.ContainerLost(0, Reason.WORKSPACE_FULL, "x"), ev.Finished()],
            Status.FAILURE,
            Reason.WORKSPACE_FULL,
        ),
        (
            [*a_step(1), ev.ContainerLost(1, Reason.POD_LOST, "gone"), ev.Finished()],
            Status.FAILURE,
            Reason.POD_LOST,
        ),
        (
            [
                *a_step(1),
                ev.StepEnded(1, 1, ev.StepEnd(Status.TIMEOUT, Reason.STEP_TIMEOUT)),
                ev.Finished(ev.ScriptFailure(Reason.STEP_FAILED, "x", step=1)),
            ],
            Status.TIMEOUT,
            Reason.STEP_TIMEOUT,
        ),
        ([ev.DeadlinePassed()], Status.TIMEOUT, Reason.JOB_TIMEOUT),
        ([ev.CancelRequested("me")], Status.CANCELLED, Reason.CANCELLED),
    ],
)
def test_each_end_has_its_status_and_reason(events: list[ev.JobEvent], status: Status, reason: Reason) -> None:
    job, _ = after(*RUNNING, *events, *CLOSING)
    assert (job.status, job.reason) == (status, reason)
    assert status is Status.SUCCESS or job.message


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (14, "SIGALRM")])
def test_the_signal_that_ended_the_danubefiles_process_is_named(number: int, name: str) -> None:
    job, _ = after(*RUNNING, ev.StepEnded(0, 1, ev.StepEnd(Status.FAILURE, signal=number)))
    assert f"killed by {name}" in job.message


def test_every_reason_of_an_end_has_a_hint() -> None:
    queued = {Reason.QUEUED, Reason.RESOLVING, Reason.APPROVAL_REQUIRED}
    waiting = {*queued, Reason.PREPARING, Reason.ENVIRONMENT_APPROVAL}
    ends_nothing = {Reason.NONE, Reason.STOPPED, *waiting}
    assert set(Reason) - ends_nothing - {Reason.SUPERSEDED} == set(HINTS)


def test_no_hint_of_a_run_needs_a_server() -> None:
    hints = {reason: run_hint(reason) for reason in HINTS}
    assert not [one for one in hints.values() if "JOB" in one or "rerun" in one or "spec." in one]
    assert [reason for reason, one in hints.items() if not one] == [Reason.CANCELLED]


def test_a_failed_attempt_goes_back_to_waiting_while_its_author_allows_it() -> None:
    job, _ = after(*RUNNING, *a_step(1, retries=1), ev.StepEnded(1, 1, RED))
    step = job.step(1)
    assert step is not None
    assert (step.attempt, step.phase, step.container) == (2, StepPhase.WAITING, None)
    job, _ = after(ev.StepPlaced(1, 2, 1), ev.StepEnded(1, 1, GREEN), job=job)
    assert job.open_steps[-1].attempt == 2, "the late end of the first attempt must not end the second"
    job, _ = after(ev.StepEnded(1, 2, RED), ev.Finished(), job=job)
    assert job.outcome is Status.FAILURE


def test_a_repeated_call_is_the_same_step_and_another_content_is_rejected() -> None:
    job, _ = after(*RUNNING, *a_step(1))
    assert after(ev.StepRequested(1, "step 1", "host"), job=job)[0] is job
    with pytest.raises(Conflict, match="is now"):
        after(ev.StepRequested(1, "another", "host"), job=job)


def test_a_report_of_tests_counts_once_and_decides_nothing() -> None:
    report = ev.ReportAdded(ReportCounts(1, 3, 2, 0, ("a", "b")))
    job, _ = after(*RUNNING, report, report, ev.ReportAdded(ReportCounts(2, 1, 0, 0)))
    assert [one.sequence for one in job.reports] == [1, 2]
    job, _ = after(*RUNNING, report, ev.Finished(), *CLOSING, report)
    assert job.status is Status.SUCCESS
    with pytest.raises(Conflict, match="at most 100 reports"):
        after(*RUNNING, *(ev.ReportAdded(ReportCounts(n, 1, 0, 0)) for n in range(101)))


def test_a_placed_step_is_never_placed_again() -> None:
    job, _ = after(*RUNNING, *a_step(1))
    assert after(ev.StepPlaced(1, 1, 7), job=job)[0] is job


def test_the_end_of_a_job_makes_earlier_effects_stale() -> None:
    job, owed = after(ev.Admitted("pod"), ev.CancelRequested("me"))
    assert owed[0].generation != job.generation
    assert all(effect.generation == job.generation for effect in owed[1:])
    assert [effect.position for effect in owed] == [1, 2, 3, 4, 5]


def test_a_job_that_is_cancelled_in_the_queue_owes_nothing() -> None:
    job, owed = after(ev.CancelRequested("me"))
    assert (job.status, job.phase, owed) == (Status.CANCELLED, Phase.CLOSED, [])


def test_a_pair_that_is_not_in_the_table_names_state_and_event() -> None:
    with pytest.raises(IllegalEvent, match=r"queued cannot take PodDeleted"):
        after(ev.PodDeleted())


def test_a_log_is_not_closed_while_a_step_is_open() -> None:
    with pytest.raises(IllegalEvent, match="concluding cannot take LogClosed"):
        after(*RUNNING, ev.Finished(), ev.LogClosed({}))


def test_an_ending_job_takes_no_new_steps() -> None:
    job, _ = after(*RUNNING, ev.CancelRequested("me"))
    with pytest.raises(Conflict, match="ending"):
        after(ev.StepRequested(1, "late", "host"), job=job)


ENDS = st.sampled_from([GREEN, RED, ev.StepEnd(Status.FAILURE, Reason.INFRASTRUCTURE_LOST)])
KILLED = ev.StepEnd(Status.CANCELLED, Reason.CANCELLED, "was stopped")


def test_a_step_that_the_danubefile_stops_fails_no_job_and_is_not_tried_again() -> None:
    stop = ev.StepStopRequested(1)
    job, _ = after(*RUNNING, *a_step(1, retries=2), stop, stop, ev.StepEnded(1, 1, KILLED), ev.Finished())
    step = job.step(1)
    assert step is not None
    assert step.end is not None
    assert (step.status, step.end.reason, step.attempt) == (Status.CANCELLED, Reason.STOPPED, 1)
    assert job.outcome is Status.SUCCESS


def test_a_step_that_fails_by_itself_fails_its_job_though_it_was_to_be_stopped() -> None:
    job, _ = after(*RUNNING, *a_step(1), ev.StepStopRequested(1), ev.StepEnded(1, 1, RED), ev.Finished())
    assert (job.outcome, job.reason) == (Status.FAILURE, Reason.STEP_FAILED)
    job, _ = after(*RUNNING, *a_step(1), ev.StepEnded(1, 1, RED), ev.StepStopRequested(1), ev.Finished())
    assert job.outcome is Status.FAILURE


def test_a_step_that_waits_for_its_container_is_stopped_at_once() -> None:
    asked = ev.StepRequested(1, "step 1", "host")
    job, _ = after(*RUNNING, asked, ev.StepStopRequested(1), ev.StepPlaced(1, 1, 1), ev.Finished())
    step = job.step(1)
    assert step is not None
    assert step.container is None
    assert (step.status, job.outcome) == (Status.CANCELLED, Status.SUCCESS)


@pytest.mark.parametrize("sequence", [0, 7])
def test_a_step_that_is_not_the_danubefiles_cannot_be_stopped(sequence: int) -> None:
    with pytest.raises(Conflict, match="has no step"):
        after(*RUNNING, ev.StepStopRequested(sequence))


EVENTS = st.one_of(
    st.just(ev.Admitted("pod")),
    st.just(ev.PodReady(0)),
    st.just(ev.PodFailed(Reason.POD_FAILED, "x")),
    st.just(ev.CancelRequested("me")),
    st.just(ev.DeadlinePassed()),
    st.builds(ev.StepRequested, st.integers(1, 2), st.just("s"), st.just("host"), st.booleans(), st.integers(0, 1)),
    st.builds(ev.StepPlaced, st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)),
    st.builds(ev.StepStarted, st.integers(0, 2), st.integers(1, 2), st.just(NOW)),
    st.builds(ev.StepStopRequested, st.integers(0, 3)),
    st.builds(ev.StepEnded, st.integers(0, 2), st.integers(1, 2), ENDS),
    st.builds(ev.ContainerLost, st.integers(0, 2), st.just(Reason.POD_LOST), st.just("gone")),
    st.just(ev.Finished()),
    st.just(ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "x"))),
    st.just(ev.StepsStopped()),
    st.just(ev.LogClosed({})),
    st.just(ev.FilesSealed(Digest(5, "ab" * 32), EMPTY)),
    st.sampled_from([ev.ProvenanceSigned(b"{}", "key"), ev.SigningFailed("why")]),
    st.just(ev.PodDeleted()),
    st.just(ev.ReportAdded(ReportCounts(1, 0, 1, 0))),
)


BEGINNINGS: list[list[ev.JobEvent]] = [
    [],
    [*RUNNING],
    [*RUNNING, ev.StepRequested(1, "s", "host"), ev.StepPlaced(1, 1, 1)],
]
"""Random events alone hardly ever reach a running job."""


@given(st.sampled_from(BEGINNINGS), st.lists(EVENTS, max_size=40))
def test_no_order_of_events_makes_a_success_without_its_conditions(
    begin: list[ev.JobEvent], events: list[ev.JobEvent]
) -> None:
    job, finished_green = a_job(), False
    ended: Job | None = None
    for event in [*begin, *events]:
        try:
            job, effects = decide(job, event, NOW)
        except (IllegalEvent, Conflict):
            continue
        finished_green |= event == ev.Finished()
        assert all(effect.generation == job.generation for effect in effects)
        if ended is not None:
            assert job.status is ended.status, "an end is final"
        if job.status.ended:
            ended = job
    if job.status is Status.SUCCESS:
        assert finished_green
        # After Finish the end of the coordinator's own program does not count.
        assert not any(step.fails_job for step in job.steps if step.sequence != COORDINATOR_SEQUENCE)
    if job.status.ended:
        assert not job.open_steps


def test_the_table_names_only_events_and_phases_that_exist() -> None:
    assert all(isinstance(phase, Phase) and issubclass(event, ev.JobEvent) for phase, event in TRANSITIONS)


def test_no_event_is_both_ignored_and_acted_on_in_one_phase() -> None:
    ignored = {(phase, event) for event, phases in IGNORED.items() for phase in phases}
    assert not ignored & TRANSITIONS.keys()


@pytest.mark.parametrize(
    "late", [ev.CancelRequested("me"), ev.DeadlinePassed(), ev.Finished(), ev.PodReady(0), ev.StepPlaced(1, 1, 2)]
)
def test_a_late_event_changes_nothing_once_the_outcome_is_decided(late: ev.JobEvent) -> None:
    job, _ = after(*RUNNING, *a_step(1), ev.StepEnded(1, 1, GREEN), ev.Finished())
    for event in CLOSING:
        assert decide(job, late, NOW + 2) == (job, ())
        job, _ = after(event, job=job)
    assert decide(job, late, NOW + 2) == (job, ())


def test_a_status_is_not_published_without_an_outcome() -> None:
    with pytest.raises(IllegalEvent):
        publish(a_job(phase=Phase.CONCLUDING), ev.LogClosed({}), NOW)


def test_a_job_that_cannot_be_signed_is_not_a_success() -> None:
    job, _ = after(*RUNNING, ev.Finished(), ev.StepsStopped(), ev.LogClosed({}), ev.SigningFailed("the key is gone"))
    assert (job.status, job.reason, job.phase) == (Status.FAILURE, Reason.SIGNING_FAILED, Phase.ENDED)
    assert job.provenance == Provenance(b"", problem="the key is gone")
    assert "the key is gone" in job.message


def test_a_failed_job_that_cannot_be_signed_keeps_its_own_reason() -> None:
    failed = ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "line 3"))
    job, _ = after(*RUNNING, failed, ev.StepsStopped(), ev.LogClosed({}), ev.SigningFailed("the key is gone"))
    assert (job.reason, job.message) == (Reason.SCRIPT_ERROR, "line 3")
    assert job.provenance is not None
    assert not job.provenance.envelope


def test_a_statement_that_is_signed_twice_is_stored_once() -> None:
    """A commit that seemed to fail had happened, so the effect was performed again."""
    job, _ = after(*RUNNING, ev.Finished(), *CLOSING[:-1])
    for late in (ev.ProvenanceSigned(b"other", "key"), ev.SigningFailed("why")):
        assert decide(job, late, NOW + 2) == (job, ())
