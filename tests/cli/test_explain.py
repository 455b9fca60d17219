"""`danube explain`: pipelines that were not started, and what users may do."""

import json

import pytest

from danube_pkg.adapters.store import SqliteInbox
from danube_pkg.core.identity.access import Level, TeamRole
from danube_pkg.core.identity.access_explanation import TeamMembership, explain_access
from danube_pkg.core.triggers.inbox import EntrySource, InboxEntry, PipelineOutcome, Result
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.core.triggers.webhooks.events import Push, WebhookRepository
from tests.cli.shell import Shell
from tests.edges.http.api import Api

CONFIGURATION = """
{apiVersion: danube.dev/v1, kind: Config, metadata: {name: global}, spec: {}}
---
{apiVersion: danube.dev/v1, kind: Team, metadata: {name: core}, spec: {members: []}}
---
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: app, team: core}
spec: {branch_filter: [main], repository: "https://git.example.org/app", triggers: [{on: push}, {on: cron, schedule: "@daily"}]}
"""


async def configured(api: Api) -> None:
    (api.path / "config" / "config.yaml").write_text(CONFIGURATION)
    assert (await api.parts.configuration.sync()).ok


async def test_a_pipeline_without_events_names_what_to_check(api: Api, shell: Shell) -> None:
    await configured(api)
    shown = await shell.danube("explain", "--pipeline", "app", "--data", str(api.path))
    assert "app, of https://git.example.org/app" in shown
    assert shown.count("It is started by ") == 2
    assert ", next at 20" in shown
    assert "No event that concerns it has arrived lately." in shown
    assert "danube deliveries" in shown
    assert "there is no pipeline" in await shell.danube(
        "explain", "--pipeline", "none", "--data", str(api.path), code=3
    )


async def test_a_push_that_did_not_start_it_is_named_with_its_reason(api: Api, shell: Shell) -> None:
    await configured(api)
    repository = WebhookRepository("example/app", ("https://git.example.org/app",))
    push = Push(repository, "dev", "c0ffee" * 6 + "abcd", "carol")
    entry = InboxEntry(EntrySource.GITHUB, "d1", push, api.parts.store.clock.now())
    assert await SqliteInbox(api.parts.store.database).receive(entry)
    stored = await SqliteInbox(api.parts.store.database).entry(EntrySource.GITHUB, "d1")
    assert stored is not None
    why = "the branch dev is not one of main"
    settled = Settlement(stored, api.parts.store.clock.now(), (PipelineOutcome("app", Result.NOT_MATCHED, why),))
    await api.parts.store.jobs.create_jobs([], settled=settled)
    shown = await shell.danube("explain", "--pipeline", "app", "--data", str(api.path))
    assert why in shown


async def test_what_a_user_may_do_is_explained_by_team(api: Api, shell: Shell) -> None:
    api.team("core")
    api.team("readers")
    api.pipeline("app", owner="core", levels={"readers": "read"})
    for name, teams in (
        ("alice", {"core": "admin"}),
        ("bob", {"core": "member"}),
        ("carol", {"readers": "member"}),
        ("dave", {}),
    ):
        api.user(name, **teams)
    data = ("--pipeline", "app", "--data", str(api.path), "--user")
    assert "set-secrets" in await shell.danube("explain", *data, "alice")
    bob = await shell.danube("explain", *data, "bob@example.com")
    assert "for its plain members that is write" in bob
    assert "trigger" in bob
    assert "set-secrets" not in bob
    carol = json.loads(await shell.danube("explain", "--json", *data, "carol"))["lines"]
    assert carol[0] == "carol is member of readers, which has the level read on app."
    assert "trigger" not in carol[1]
    dave = await shell.danube("explain", *data, "dave")
    assert "dave is in no team" in dave
    assert "cannot see app" in dave
    assert "there is no user" in await shell.danube("explain", *data, "erin", code=3)


def test_global_administrators_may_everything() -> None:
    lines = explain_access("root", "app", {}, [TeamMembership("ops", TeamRole.MEMBER, global_admin=True)])
    assert "global administrators" in lines[0]
    assert "set-secrets" in lines[1]
    assert "no level on app" in explain_access("x", "app", {"a": Level.READ}, [TeamMembership("b", TeamRole.ADMIN)])[0]


@pytest.mark.parametrize("words", [(), ("01", "--pipeline", "app"), ("--user", "bob")])
async def test_what_to_explain_must_be_named(shell: Shell, words: tuple[str, ...]) -> None:
    assert "danube explain --pipeline NAME" in await shell.danube("explain", *words, code=2)
