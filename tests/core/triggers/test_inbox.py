"""Events of the inbox: their stored form, and their description."""

import pytest

from danube_pkg.core.errors import Defect
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.inbox import (
    InboxEvent,
    PipelineEnded,
    ScheduleDue,
    describe_event,
    event_from_json,
    event_to_json,
    repository_of,
)
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Ping,
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    UnreadableEvent,
    WebhookRepository,
)

SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
APP = WebhookRepository("Team/App", ("https://git.example.org/team/app.git", "git@git.example.org:team/app.git"))
PULL = PullRequest(APP, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=True, actor="bob")
EVENTS: list[tuple[InboxEvent, str]] = [
    (Push(APP, "main", SHA, "alice", "fix it", before=SHA), "push to main of Team/App by alice"),
    (Push(APP, "main", SHA, ""), "push to main of Team/App"),
    (TagPush(APP, "v1", SHA, "alice"), "tag v1 of Team/App by alice"),
    (BranchDeleted(APP, "old", "alice"), "branch old of Team/App deleted by alice"),
    (TagDeleted(APP, "v1", "alice"), "tag v1 of Team/App deleted by alice"),
    (PULL, "pull request 7 from a fork of Team/App opened by bob"),
    (ScheduleDue("app", "30 2 * * *", 1.0), "schedule of app: 30 2 * * *"),
    (PipelineEnded("app", "01j", "success", "/srv/app", Revision(SHA)), "end of job 01j of app: success"),
    (Ping(), "ping"),
    (Ignored("star created"), "star created"),
    (UnreadableEvent("push", "after must be a commit's hash", "Team/App"), "push of Team/App, not readable"),
    (UnreadableEvent("push", "it is not valid JSON"), "push, not readable"),
]


@pytest.mark.parametrize(("event", "words"), EVENTS)
def test_an_event_is_stored_and_read(event: InboxEvent, words: str) -> None:
    assert event_from_json(event_to_json(event)) == event
    assert describe_event(event) == words
    assert repository_of(event) == ("Team/App" if "Team/App" in words else "")


REPOSITORY = '{"name":"Team/App","urls":["https://git.example.org/team/app.git","git@git.example.org:team/app.git"]}'
ROWS: list[tuple[str, InboxEvent]] = [
    (
        f'{{"kind":"Push","repository":{REPOSITORY},"branch":"main","commit_sha":"{SHA}","actor":"alice",'
        '"message":"fix \\u00fc","changed":["a","b"],"subject":"fix","author":"Zo\\u00eb"}',
        Push(APP, "main", SHA, "alice", "fix ü", "fix", "Zoë"),
    ),
    (
        f'{{"kind":"Push","repository":{REPOSITORY},"branch":"main","commit_sha":"{SHA}","actor":"",'
        '"message":"","changed":null,"subject":"","author":""}',
        Push(APP, "main", SHA, ""),
    ),
    (
        f'{{"kind":"TagPush","repository":{REPOSITORY},"tag":"v1","commit_sha":"{SHA}","actor":"alice",'
        '"message":"","subject":"","author":""}',
        TagPush(APP, "v1", SHA, "alice"),
    ),
    (
        f'{{"kind":"BranchDeleted","repository":{REPOSITORY},"branch":"old","actor":"alice"}}',
        BranchDeleted(APP, "old", "alice"),
    ),
    (
        f'{{"kind":"PullRequest","repository":{REPOSITORY},"number":7,"change":"opened","commit_sha":"{SHA}",'
        '"ref":"refs/pull/7/head","source_branch":"topic","target_branch":"main","fork":true,"actor":"bob",'
        '"base_sha":"","source_repository":"","title":"","message":"","url":"","subject":"","author":""}',
        PULL,
    ),
    (
        '{"kind":"CronMoment","pipeline":"app","schedule":"30 2 * * *","moment":1.0}',
        ScheduleDue("app", "30 2 * * *", 1.0),
    ),
    (
        f'{{"kind":"PipelineEnded","pipeline":"app","job_id":"01j","status":"success","repository":"/srv/app",'
        f'"revision":{{"commit_sha":"{SHA}","ref":"","branch":"","tag":"","commit_message":"","commit_author":""}}}}',
        PipelineEnded("app", "01j", "success", "/srv/app", Revision(SHA)),
    ),
    ('{"kind":"Ping"}', Ping()),
    ('{"kind":"Ignored","what":"star created"}', Ignored("star created")),
]


@pytest.mark.parametrize(("row", "event"), ROWS)
def test_rows_of_earlier_versions_are_read_unchanged(row: str, event: InboxEvent) -> None:
    assert event_from_json(row) == event
    assert event_from_json(event_to_json(event)) == event


def test_the_end_of_a_pipeline_is_read_from_a_row_without_a_revision() -> None:
    row = (
        '{"kind":"PipelineEnded","pipeline":"app","job_id":"01j","status":"success","repository":"/srv/app",'
        f'"commit_sha":"{SHA}","ref":"refs/heads/main","branch":"main","tag":"","commit_message":"fix"}}'
    )
    revision = Revision(SHA, "refs/heads/main", "main", commit_message="fix")
    assert event_from_json(row) == PipelineEnded("app", "01j", "success", "/srv/app", revision)


def test_a_row_without_the_fields_that_came_later_is_read() -> None:
    row = f'{{"kind":"TagPush","repository":{REPOSITORY},"tag":"v1","commit_sha":"{SHA}","actor":"alice"}}'
    assert event_from_json(row) == TagPush(APP, "v1", SHA, "alice")


@pytest.mark.parametrize(
    "row", ['{"kind": "Sunrise"}', "{}", "", "[]", '{"kind": "Ignored", "what": 1}', '{"kind": "CronMoment"}']
)
def test_a_row_that_no_version_has_written_is_a_defect(row: str) -> None:
    with pytest.raises(Defect, match="unknown entry") as caught:
        event_from_json(row)
    assert caught.value.reference == "inbox-entry-unknown"
