"""A job that asks for an environment in its middle: what is refused at once, and how the wait ends."""

import pytest

from danube_pkg.core.errors import Conflict, Forbidden, Invalid, NotFound, PlatformError
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.clock_jumps import with_clock_moved
from danube_pkg.core.jobs.environment_approvals import LONGEST_WAIT_SECONDS, ApprovalState, granted_environments
from danube_pkg.core.jobs.id_tokens import claims_of
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import StartHistory, choose_next, choose_returning, slots_in_use
from danube_pkg.core.jobs.transitions import decide
from danube_pkg.core.jobs.trigger import Rebuild, Trigger
from danube_pkg.core.pipelines import Environment, PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace

NOW = 1_800_000_000.0
MAIN = Revision("a" * 40, "refs/heads/main", branch="main")
TAG = Revision("a" * 40, "refs/tags/v1", tag="v1")
PRODUCTION = Environment("production", ("ops",), ("main", "refs/tags/v*"), ("DEPLOY_KEY",), timeout_seconds=600)


def a_job(job_id: str = "01j", **changes: object) -> Job:
    settings = PipelineSettings("repo", environments=(PRODUCTION, Environment("staging", ("ops",))))
    job = Job(job_id, "p1", "app", Trigger("manual", "alice", MAIN), settings, created_at=NOW)
    for event in (ev.Admitted("pod"), ev.PodReady(0)):
        job, _ = decide(job, event, NOW)
    return replace(job, **changes)  # type: ignore[arg-type]


def after(job: Job, *events: ev.JobEvent, now: float = NOW) -> Job:
    for event in events:
        job, _ = decide(job, event, now)
    return job


ASKED = ev.EnvironmentRequested(1, "production")
APPROVED = ev.EnvironmentDecided(1, "bob", approve=True)


def test_a_job_waits_and_has_the_environment_only_when_it_was_approved_and_has_a_slot() -> None:
    waiting = after(a_job(), ASKED)
    assert waiting.waits_for_approval
    assert (waiting.phase, waiting.status, waiting.reason) == (
        Phase.RUNNING,
        Status.RUNNING,
        Reason.ENVIRONMENT_APPROVAL,
    )
    assert waiting.message == "waits for approval of production"
    assert granted_environments(waiting.approvals) == ()
    approved = after(waiting, APPROVED, now=NOW + 100)
    assert granted_environments(approved.approvals) == ()
    assert approved.waits_for_approval
    granted = after(approved, ev.EnvironmentGranted(1), now=NOW + 150)
    assert granted_environments(granted.approvals) == ("production",)
    assert (granted.reason, granted.message, granted.runs_steps) == (Reason.NONE, "", True)
    assert granted.approvals[0].decided_by == "bob"


def test_the_wait_does_not_count_for_the_deadline() -> None:
    before = a_job()
    waiting = after(before, ASKED)
    assert after(waiting, ev.DeadlinePassed(), now=NOW + 10_000) is waiting
    continued = after(after(waiting, APPROVED, now=NOW + 100), ev.EnvironmentGranted(1), now=NOW + 400)
    assert before.deadline_at is not None
    assert continued.deadline_at == before.deadline_at + 400
    assert after(continued, ev.DeadlinePassed()).outcome is Status.TIMEOUT


def test_a_repeated_call_is_the_same_request_and_keeps_its_decision() -> None:
    waiting = after(a_job(), ASKED)
    assert after(waiting, ASKED, now=NOW + 5) is waiting
    granted = after(waiting, APPROVED, ev.EnvironmentGranted(1))
    assert after(granted, ASKED) is granted


@pytest.mark.parametrize(
    ("job", "event", "kind", "reference"),
    [
        (a_job(), ev.EnvironmentRequested(1, "prodution"), NotFound, "environment-unknown"),
        (
            a_job(trigger=Trigger("manual", "alice", Revision("a" * 40, "refs/heads/x", branch="x"))),
            ASKED,
            Forbidden,
            "environment-ref",
        ),
        (a_job(trigger=Trigger("manual", "alice", Revision("a" * 40, "a" * 40))), ASKED, Forbidden, "environment-ref"),
        (
            a_job(trigger=Trigger("webhook", "mallory", MAIN, pull_request={"number": 1}, approved_by="bob")),
            ASKED,
            Forbidden,
            "environment-of-untrusted-code",
        ),
        (
            a_job(trigger=Trigger("manual", "alice", MAIN, rebuild=Rebuild("01i"))),
            ASKED,
            Forbidden,
            "environment-of-rebuild",
        ),
        (after(a_job(), ev.StepRequested(1, "serve", "host")), ASKED, Conflict, "approval-with-open-steps"),
        (after(a_job(), ASKED), ev.EnvironmentRequested(2, "staging"), Conflict, "approval-at-once"),
        (a_job(), ev.EnvironmentRequested(1, "production", timeout_seconds=601), Invalid, "approval-timeout"),
        (after(a_job(), ev.Finished()), ASKED, Conflict, "job-ending"),
    ],
)
def test_what_is_refused_at_once(job: Job, event: ev.JobEvent, kind: type[PlatformError], reference: str) -> None:
    with pytest.raises(kind) as refused:
        after(job, event)
    assert (refused.value.reference, bool(refused.value.hint)) == (reference, True)


def test_a_tag_is_allowed_by_its_full_ref() -> None:
    assert after(a_job(trigger=Trigger("webhook", "alice", TAG)), ASKED).waits_for_approval


def test_a_rejection_ends_the_job_with_its_reason() -> None:
    ended = after(a_job(), ASKED, ev.EnvironmentDecided(1, "bob", approve=False, reason="the tests are red"))
    assert (ended.phase, ended.outcome, ended.reason) == (
        Phase.CONCLUDING,
        Status.FAILURE,
        Reason.ENVIRONMENT_REJECTED,
    )
    assert ended.message == "approval of production was rejected by bob: the tests are red"
    assert ended.approvals[0].state is ApprovalState.REJECTED


def test_a_wait_without_a_decision_ends_the_job_and_one_with_a_decision_does_not() -> None:
    waiting = after(a_job(), ev.EnvironmentRequested(1, "production", timeout_seconds=60))
    assert waiting.approvals[0].expires_at == NOW + 60
    ended = after(waiting, ev.EnvironmentExpired(1))
    assert (ended.outcome, ended.reason) == (Status.TIMEOUT, Reason.ENVIRONMENT_TIMEOUT)
    assert ended.message == "no user approved production within 60 s"
    assert after(waiting, APPROVED, ev.EnvironmentExpired(1)).waits_for_approval


def test_a_cancelled_job_waits_for_nothing() -> None:
    ended = after(a_job(), ASKED, ev.CancelRequested("carol"))
    assert (ended.outcome, ended.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert ended.approvals[0].state is ApprovalState.CANCELLED
    assert after(ended, ev.EnvironmentGranted(1), ev.EnvironmentExpired(1)) is ended


@pytest.mark.parametrize("events", [(), (ASKED, APPROVED), (ASKED, ev.CancelRequested("carol"))])
def test_a_decision_that_no_job_waits_for_is_refused(events: tuple[ev.JobEvent, ...]) -> None:
    with pytest.raises(Conflict, match="does not wait for this approval"):
        after(a_job(), *events, ev.EnvironmentDecided(1, "carol", approve=False))


def test_a_decision_about_an_earlier_request_of_the_job_decides_nothing() -> None:
    job = after(a_job(), ASKED, APPROVED, ev.EnvironmentGranted(1), ev.EnvironmentRequested(2, "production"))
    with pytest.raises(Conflict) as refused:
        after(job, APPROVED)
    assert refused.value.cause == "it is granted by bob"
    assert job.waits_for_approval


def test_all_waits_of_a_job_are_bounded() -> None:
    long = Environment("production", ("ops",), timeout_seconds=LONGEST_WAIT_SECONDS)
    job = a_job(settings=PipelineSettings("repo", environments=(long,)))
    job = after(after(job, ASKED), APPROVED, ev.EnvironmentGranted(1), now=NOW + 10)
    with pytest.raises(Invalid, match="30 days"):
        after(job, ev.EnvironmentRequested(2, "production"))
    assert after(job, ev.EnvironmentRequested(2, "production", LONGEST_WAIT_SECONDS - 10)).waits_for_approval


def test_a_moved_clock_moves_the_wait() -> None:
    moved = with_clock_moved(after(a_job(), ASKED), 3600)
    assert (moved.approvals[0].requested_at, moved.approvals[0].expires_at) == (NOW + 3600, NOW + 3600 + 600)


# --- its slot


def test_a_waiting_job_gives_its_slot_back_and_gets_one_before_jobs_that_have_not_started() -> None:
    waiting = after(a_job("01a"), ASKED)
    queued = [Job(f"01{name}", "p1", "app", Trigger("manual", "x"), waiting.settings, NOW) for name in "bc"]
    assert slots_in_use([waiting]) == 0
    assert choose_next([waiting, *queued], 1, StartHistory()).start == ("01b",)
    other = a_job("01b")
    approved = after(waiting, APPROVED)
    assert choose_returning([approved, other], 1) == ()
    assert choose_returning([approved, queued[1]], 1) == (("01a", 1),)


def test_a_returning_job_keeps_to_the_limit_of_its_pipeline() -> None:
    settings = PipelineSettings("repo", environments=(PRODUCTION,), max_concurrent_jobs=1)
    approved = after(a_job("01a", settings=settings), ASKED, APPROVED)
    assert choose_returning([approved, a_job("01b", settings=settings)], 10) == ()
    assert choose_returning([approved, a_job("01b", settings=settings, pipeline_id="p2")], 10) == (("01a", 1),)


def test_a_waiting_job_keeps_its_concurrency_group() -> None:
    settings = PipelineSettings("repo", environments=(PRODUCTION,), concurrency_group="deploy")
    waiting = after(a_job("01a", settings=settings), ASKED)
    queued = Job("01b", "p1", "app", Trigger("manual", "x"), settings, NOW)
    assert choose_next([waiting, queued], 10, StartHistory()).start == ()


# --- what appears with it


def test_the_claims_name_the_environment_only_when_it_was_granted() -> None:
    def claims(job: Job) -> dict[str, object]:
        return claims_of(job, "https://ci.example.org", "cloud", "t1", NOW)

    approved = after(a_job(), ASKED, APPROVED)
    assert "environment" not in claims(approved)
    assert claims(approved)["sub"] == "pipeline:app:ref:refs/heads/main"
    granted = claims(after(approved, ev.EnvironmentGranted(1)))
    assert granted["environment"] == "production"
    assert granted["sub"] == "pipeline:app:ref:refs/heads/main:environment:production"
