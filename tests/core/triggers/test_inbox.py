"""Entries of the inbox: as they are stored, and as people read them."""

import pytest

from danube_pkg.core.errors import Defect
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.inbox import (
    CronMoment,
    InboxEvent,
    PipelineEnded,
    event_from_json,
    event_in_words,
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
    TagPush,
    WebhookRepository,
)

SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
APP = WebhookRepository("Team/App", ("https://git.example.org/team/app.git", "git@git.example.org:team/app.git"))
PULL = PullRequest(APP, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=True, actor="bob")
EVENTS: list[tuple[InboxEvent, str]] = [
    (Push(APP, "main", SHA, "alice", "mend it", ("a", "b")), "push to main of Team/App by alice"),
    (Push(APP, "main", SHA, ""), "push to main of Team/App"),
    (TagPush(APP, "v1", SHA, "alice"), "tag v1 of Team/App by alice"),
    (BranchDeleted(APP, "old", "alice"), "end of branch old of Team/App by alice"),
    (PULL, "pull request 7 from a fork of Team/App opened by bob"),
    (CronMoment("app", "30 2 * * *", 1.0), "the clock of app: 30 2 * * *"),
    (PipelineEnded("app", "01j", "success", "/srv/app", Revision(SHA)), "the end of app job 01j: success"),
    (Ping(), "ping"),
    (Ignored("star created"), "star created"),
]


@pytest.mark.parametrize(("event", "words"), EVENTS)
def test_an_event_is_stored_and_read(event: InboxEvent, words: str) -> None:
    assert event_from_json(event_to_json(event)) == event
    assert event_in_words(event) == words
    assert repository_of(event) == ("Team/App" if "Team/App" in words else "")


def test_the_end_of_a_pipeline_that_an_older_version_stored_is_read() -> None:
    text = (
        '{"kind":"PipelineEnded","pipeline":"app","job_id":"01j","status":"success","repository":"/srv/app",'
        f'"commit_sha":"{SHA}","ref":"refs/heads/main","branch":"main","tag":"","commit_message":"fix"}}'
    )
    revision = Revision(SHA, "refs/heads/main", "main", commit_message="fix")
    assert event_from_json(text) == PipelineEnded("app", "01j", "success", "/srv/app", revision)


def test_what_nobody_has_written_is_a_defect() -> None:
    with pytest.raises(Defect, match="no known kind"):
        event_from_json('{"kind": "Sunrise"}')
