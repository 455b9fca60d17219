"""What follows from a job's change. The text of messages and their delivery are tested in
tests/services/notifications."""

import json
from typing import Any

import pytest

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.notifications import EmailNotification, Occasion, SlackNotification
from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition, State
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Rebuild, Trigger
from danube_pkg.core.notifications.commit_statuses import commit_status
from danube_pkg.core.notifications.messages import document, mail
from danube_pkg.core.notifications.outbox import OutboxKind, notification_of
from danube_pkg.core.notifications.rules import (
    NO_FOLLOW_UP,
    FollowUp,
    follow_up_of,
)
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.git_authentication import (
    GithubApp,
    GitlabToken,
    HttpsToken,
    SshKey,
)
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.inbox import (
    EntrySource,
    PipelineEnded,
    ScheduleDue,
    event_from_json,
    event_to_json,
    lane_of,
)
from danube_pkg.core.triggers.matching import PipelineIndex
from danube_pkg.kit.records import replace

NOW = 1_800_000_000.0
SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
URL = "https://git.example.org/team/app"
RULES = {
    "github": GithubApp("a", "1", "2", "key", ("git.example.org/*",), "https://git.example.org/api/v3"),
    "gitlab": GitlabToken("b", "https://git.example.org", "token", ("git.example.org/*",)),
    "gitea": HttpsToken("c", "token", ("git.example.org/*",), forge="gitea"),
}
MAIN = Trigger("webhook", "alice", Revision(SHA, "refs/heads/main", "main"))


def a_job(status: Status = Status.PENDING, reason: Reason = Reason.QUEUED, **changes: Any) -> Job:
    job = Job("01j", "id-app", "app", MAIN, PipelineSettings(URL), NOW, status=status, reason=reason)
    return replace(job, **changes)


def a_state(*rules: Any, notifications: tuple[Any, ...] = (), waiting: str = "") -> State:
    pipelines = {"app": PipelineDefinition("app", "", PipelineSpec(URL, notifications=notifications))}
    if waiting:
        trigger = TriggerSpec(TriggerKind.PIPELINE, pipeline=waiting)
        pipelines["next"] = PipelineDefinition("next", "", PipelineSpec(URL, triggers=(trigger,)))
    return State(ConfigSpec(git_authentication=tuple(rules)), {}, {}, pipelines)


def follow_up(before: Job | None, after: Job, state: State) -> FollowUp:
    return follow_up_of(before, after, state, PipelineIndex(state.pipelines.values()), NOW)


@pytest.mark.parametrize("kind", RULES)
def test_a_commit_gets_a_status_where_a_rule_names_the_forge(kind: str) -> None:
    (entry,) = follow_up(None, a_job(), a_state(RULES[kind])).outbox
    assert entry.kind is OutboxKind.STATUS
    assert entry.target.endswith(f"team/app {SHA} app/push")
    assert (entry.notification.status, entry.notification.ref) == (Status.PENDING, "refs/heads/main")


@pytest.mark.parametrize(
    "job",
    [
        a_job(settings=PipelineSettings("/srv/app")),
        a_job(settings=PipelineSettings("https://elsewhere.example.org/team/app")),
        a_job(trigger=replace(MAIN, revision=Revision())),
    ],
)
def test_without_a_forge_or_a_commit_no_status_is_sent(job: Job) -> None:
    assert follow_up(None, job, a_state(RULES["gitea"], SshKey("d", ("*",), "/key"))) == NO_FOLLOW_UP


def test_only_a_visible_change_gives_a_new_status() -> None:
    state = a_state(RULES["gitea"])
    queued, running = a_job(), a_job(Status.RUNNING, Reason.PREPARING)
    assert len(follow_up(queued, running, state).outbox) == 1
    assert follow_up(running, replace(running, reason=Reason.NONE, generation=3), state) == NO_FOLLOW_UP
    waiting = a_job(reason=Reason.APPROVAL_REQUIRED)
    assert len(follow_up(waiting, queued, state).outbox) == 1, "an approval is visible"
    unresolved = a_job(reason=Reason.RESOLVING, trigger=replace(MAIN, revision=Revision(ref="main")))
    assert follow_up(None, unresolved, state) == NO_FOLLOW_UP
    assert len(follow_up(unresolved, queued, state).outbox) == 1, "its commit is known"


@pytest.mark.parametrize(
    ("job", "description"),
    [
        (a_job(), "waits in the queue"),
        (a_job(reason=Reason.APPROVAL_REQUIRED), "waits for approval of this commit (needs the level write)"),
        (a_job(Status.RUNNING), "is running"),
        (
            a_job(Status.RUNNING, Reason.ENVIRONMENT_APPROVAL, message="waits for approval of production"),
            "waits for approval of production",
        ),
        (a_job(Status.SUCCESS, started_at=NOW, finished_at=NOW + 75.4), "succeeded after 75 s"),
        (
            a_job(Status.FAILURE, Reason.STEP_FAILED, message="'Test' failed: exit code 3"),
            "failed: 'Test' failed: exit code 3",
        ),
        (a_job(Status.TIMEOUT, Reason.JOB_TIMEOUT), "timed out: job-timeout"),
        (
            a_job(Status.CANCELLED, Reason.SUPERSEDED, message="superseded by job 02j"),
            "cancelled: superseded by job 02j",
        ),
    ],
)
def test_a_status_describes_the_reason(job: Job, description: str) -> None:
    status = commit_status(notification_of(job), "https://ci.example.org/")
    assert (status.description, status.context) == (description, "danube/app/push")
    assert status.target_url == "https://ci.example.org/jobs/01j"
    assert commit_status(notification_of(job), "").target_url == ""


ENDED = a_job(Status.SUCCESS, Reason.NONE)
RUNNING = a_job(Status.RUNNING)


def test_the_end_of_a_job_is_reported_once() -> None:
    state = a_state(notifications=(SlackNotification("chat", (Occasion.ALWAYS,)),), waiting="app")
    first = follow_up(RUNNING, ENDED, state)
    assert [one.kind for one in first.outbox] == [OutboxKind.SLACK]
    assert [one.source for one in first.inbox] == [EntrySource.PIPELINE]
    assert follow_up(ENDED, replace(ENDED, generation=5), state) == NO_FOLLOW_UP


@pytest.mark.parametrize(
    ("when", "status", "sent", "only_after_failure"),
    [
        ((Occasion.FAILURE,), Status.FAILURE, True, False),
        ((Occasion.FAILURE,), Status.TIMEOUT, True, False),
        ((Occasion.FAILURE,), Status.SUCCESS, False, False),
        ((Occasion.FAILURE,), Status.CANCELLED, False, False),
        ((Occasion.RECOVERY,), Status.SUCCESS, True, True),
        ((Occasion.RECOVERY,), Status.FAILURE, False, False),
        ((Occasion.ALWAYS,), Status.SUCCESS, True, False),
        ((Occasion.ALWAYS, Occasion.RECOVERY), Status.SUCCESS, True, False),
        ((Occasion.ALWAYS,), Status.CANCELLED, True, False),
    ],
)
def test_occasions(when: tuple[Occasion, ...], status: Status, sent: bool, only_after_failure: bool) -> None:
    state = a_state(notifications=(EmailNotification(("alice@example.org",), when),))
    entries = follow_up(RUNNING, a_job(status), state).outbox
    assert [one.only_after_failure for one in entries] == ([only_after_failure] if sent else [])


def waiting(sequence: int) -> Job:
    approvals = tuple(
        EnvironmentApproval(one, "production", NOW, NOW + 60, ApprovalState.GRANTED) for one in range(1, sequence)
    )
    approvals += (EnvironmentApproval(sequence, "production", NOW, NOW + 60),)
    message = "waits for approval of production"
    return a_job(Status.RUNNING, Reason.ENVIRONMENT_APPROVAL, approvals=approvals, message=message)


@pytest.mark.parametrize(
    ("when", "sent"), [((Occasion.APPROVAL,), True), ((Occasion.FAILURE,), False), ((Occasion.ALWAYS,), False)]
)
def test_a_wait_for_an_approval_is_reported_once_to_those_who_want_it(when: tuple[Occasion, ...], sent: bool) -> None:
    state = a_state(notifications=(EmailNotification(("alice@example.org",), when),))
    asked = waiting(1)
    entries = follow_up(RUNNING, asked, state).outbox
    assert len(entries) == sent
    assert follow_up(asked, replace(asked, trigger=replace(asked.trigger, actor="x")), state) == NO_FOLLOW_UP
    decided = replace(asked.approvals[0], state=ApprovalState.APPROVED)
    assert follow_up(asked, replace(asked, approvals=(decided,)), state) == NO_FOLLOW_UP
    again = follow_up(RUNNING, waiting(2), state).outbox
    assert [one.notification.approval for one in (*entries, *again)] == ([1, 2] if sent else [])


def test_the_message_of_a_wait_says_how_to_decide() -> None:
    notification = notification_of(waiting(2))
    sent = mail(notification, "ci@example.org", ("alice@example.org",), "", recovered=False)
    assert sent["Subject"].startswith("[danube] app waits for approval of production")
    assert sent["Message-ID"] == "<01j.running.2@danube>"
    assert "danube approve 01j [--reject]" in sent.get_content()
    assert json.loads(document(notification, "", recovered=False))["type"] == "job.waiting"


def test_a_rebuild_reports_nothing_and_starts_nothing() -> None:
    rule = RULES["gitea"]
    state = a_state(rule, notifications=(SlackNotification("chat", (Occasion.ALWAYS,)),), waiting="app")
    trigger = replace(MAIN, rebuild=Rebuild("other"))
    assert follow_up(RUNNING, ENDED, state).outbox
    assert follow_up(None, replace(a_job(), trigger=trigger), state) == NO_FOLLOW_UP
    assert follow_up(replace(RUNNING, trigger=trigger), replace(ENDED, trigger=trigger), state) == NO_FOLLOW_UP


def test_the_end_of_a_pull_requests_job_starts_nothing() -> None:
    state = a_state(waiting="app")
    assert follow_up(RUNNING, ENDED, state).inbox
    trigger = replace(MAIN, pull_request={"number": 7, "fork": False})
    assert follow_up(replace(RUNNING, trigger=trigger), replace(ENDED, trigger=trigger), state) == NO_FOLLOW_UP
    assert follow_up(RUNNING, ENDED, a_state(waiting="other")) == NO_FOLLOW_UP


@pytest.mark.parametrize(
    "event",
    [
        ScheduleDue("app", "0 3 * * *", NOW),
        PipelineEnded("app", "01j", "success", URL, Revision(SHA, "refs/heads/main", "main")),
    ],
)
def test_entries_without_a_delivery_are_stored_and_read(event: ScheduleDue | PipelineEnded) -> None:
    assert event_from_json(event_to_json(event)) == event
    assert lane_of(event) == "pipeline app"
