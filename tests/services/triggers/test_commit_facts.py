"""What Git is asked about an event's commits: the message that a payload lacks, and the changed files."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.triggers.webhooks.events import PullRequest, PullRequestChange, Push, TagPush
from danube_pkg.kit.records import replace
from tests.support.trigger_server import REPOSITORY, SHA, URL, a_pipeline, open_trigger_server

BEFORE = "95790bf891e76fee5e1747ab589903a6a1f80f22"
PUSH = Push(REPOSITORY, "main", SHA, "alice", "fix it", before=BEFORE)
FORK = PullRequest(
    REPOSITORY, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=True, actor="bob"
)
DOCS = a_pipeline("docs", TriggerKind.PUSH, TriggerKind.PULL_REQUEST, TriggerKind.TAG, paths=("docs/**",))


@pytest.mark.parametrize(
    ("event", "changed", "starts"),
    [
        (PUSH, ("docs/a.md", "src/a.py"), True),
        (PUSH, ("src/a.py",), False),
        (PUSH, None, True),
        (PUSH, (), True),
        (replace(PUSH, before=""), ("src/a.py",), True),
        (replace(PUSH, before="0" * 40), ("src/a.py",), True),
    ],
)
async def test_a_push_is_filtered_by_the_difference_between_its_two_heads(
    tmp_path: Path, event: Push, changed: tuple[str, ...] | None, starts: bool
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(DOCS)
        danube.sources.changed = changed
        await danube.receive(event)
        assert danube.sources.requests == ([f"{URL} {BEFORE}..{SHA}"] if event.before == BEFORE else [])
        assert bool(await danube.jobs()) is starts


async def test_a_pipeline_runs_where_git_does_not_have_the_head_before(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(DOCS)
        danube.sources.failure = Unavailable("forge-unreachable", "not our ref")
        await danube.receive(PUSH)
        assert len(await danube.jobs()) == 1


@pytest.mark.parametrize("event", [replace(PUSH, message="", before=""), FORK], ids=["push", "pull request"])
async def test_a_message_that_the_forge_does_not_send_is_read_from_git(
    tmp_path: Path, event: Push | PullRequest
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH, TriggerKind.PULL_REQUEST))
        await danube.receive(event)
        (job,) = await danube.jobs()
        assert (job.trigger.revision.commit_message, job.trigger.revision.commit_author) == ("a change", "Ada")
        danube.sources.message = "docs\n\nwhy\n\n[skip ci]"
        await danube.receive(event, "d2")
        assert await danube.outcome("d2") == "app: the commit message contains [skip ci]"


async def test_git_is_not_asked_where_no_pipeline_includes_the_event(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.TAG), a_pipeline("other", TriggerKind.PUSH))
        await danube.receive(FORK)
        await danube.receive(TagPush(REPOSITORY, "v1", SHA, "alice"), "d2")
        await danube.receive(PUSH, "d3")
        assert danube.sources.requests == []


async def test_a_secret_in_a_commit_that_git_is_asked_about_is_not_stored(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH))
        await danube.secret("TOKEN", b"Kx9-clear-in-a-commit")
        danube.sources.message = "use Kx9-clear-in-a-commit"
        await danube.receive(replace(PUSH, message=""))
        (job,) = await danube.jobs()
        assert job.trigger.revision.commit_message == "use ***"
