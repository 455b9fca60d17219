"""One event that is delivered twice, by two webhooks or by the forge again, starts a job once; a movement of a ref that
happens twice starts two."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.triggers.inbox import SAME_EVENT_SECONDS
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.kit.records import replace
from tests.support.trigger_server import REPOSITORY, SHA, URL, a_pipeline, open_trigger_server

A, B, NONE = "95790bf891e76fee5e1747ab589903a6a1f80f22", SHA, "0" * 40
APP = a_pipeline("app", TriggerKind.PUSH, TriggerKind.TAG, TriggerKind.PULL_REQUEST)
PULL = PullRequest(
    REPOSITORY,
    7,
    PullRequestChange.OPENED,
    SHA,
    "refs/pull/7/head",
    "topic",
    "main",
    fork=True,
    actor="bob",
    message="m",
    version="2026-11-29T10:00:00Z",
)


def push(before: str, after: str, branch: str = "main") -> Push:
    return Push(REPOSITORY, branch, after, "alice", "m", before=before)


def tag(before: str, after: str) -> TagPush:
    return TagPush(REPOSITORY, "v1", after, "alice", "m", before=before, after=after)


@pytest.mark.parametrize(
    ("events", "jobs"),
    [
        ([push(A, B), push(A, B)], 1),
        ([push(A, B), push(A, B), push(A, B)], 1),
        ([push(A, B), push(B, A), push(A, B)], 3),
        ([push(NONE, B), push(NONE, B)], 1),
        ([push(NONE, B), BranchDeleted(REPOSITORY, "main", "alice"), push(NONE, B)], 2),
        ([push(A, B), push(A, B, "topic")], 2),
        ([push("", B), push("", B)], 2),
        ([tag(NONE, B), tag(NONE, B)], 1),
        ([tag(NONE, B), TagDeleted(REPOSITORY, "v1", "alice"), tag(NONE, B)], 2),
        ([PULL, PULL], 1),
        ([PULL, replace(PULL, version="")], 2),
        ([PULL, replace(PULL, version="2026-11-29T10:00:09Z")], 2),
        ([PULL, replace(PULL, target_branch="dev")], 2),
        ([PULL, replace(PULL, change=PullRequestChange.UPDATED)], 1),
        ([PULL, replace(PULL, change=PullRequestChange.UPDATED, version="2026-11-29T10:00:01Z")], 1),
        ([PULL, replace(PULL, change=PullRequestChange.UPDATED, commit_sha=A)], 2),
        ([PULL, replace(PULL, change=PullRequestChange.UPDATED, target_branch="dev")], 2),
        ([PULL, *(replace(PULL, change=PullRequestChange.UPDATED, commit_sha=one) for one in (A, B))], 3),
        ([PULL, replace(PULL, change=PullRequestChange.CLOSED), PULL], 2),
    ],
)
async def test_an_event_starts_one_job_however_often_it_is_delivered(
    tmp_path: Path, events: list[WebhookEvent], jobs: int
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        for number, event in enumerate(events):
            assert await danube.receive(event, f"d{number}")
        assert len(await danube.jobs()) == jobs


async def test_a_known_event_names_the_job_and_the_delivery_that_started_it(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(push(A, B))
        await danube.configure(APP, a_pipeline("new", TriggerKind.PUSH))
        await danube.receive(push(A, B), "d2")
        first, second = await danube.jobs()
        assert (first.pipeline, second.pipeline) == ("app", "new"), "a pipeline that it did not start yet"
        entry = await danube.inbox.entry("github", "d2")
        assert entry is not None
        assert [(one.pipeline, one.result, one.job_id) for one in entry.outcomes] == [
            ("app", "known", first.id),
            ("new", "started", second.id),
        ]
        assert entry.outcomes[0].why == "the same event arrived as delivery d1"


async def test_a_day_later_it_is_another_event(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(push(A, B))
        danube.clock.move(SAME_EVENT_SECONDS + 1)
        await danube.receive(push(A, B), "d2")
        assert len(await danube.jobs()) == 2


async def test_a_repository_of_that_name_on_another_host_is_another_one(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        elsewhere = WebhookRepository("team/app", ("https://other.example.org/team/app",))
        await danube.configure(APP, a_pipeline("other", TriggerKind.PUSH, repository=elsewhere.urls[0]))
        await danube.receive(push(A, B))
        await danube.receive(replace(push(A, B), repository=elsewhere), "d2")
        assert sorted(job.pipeline for job in await danube.jobs()) == ["app", "other"]
        assert elsewhere.urls[0] != URL
