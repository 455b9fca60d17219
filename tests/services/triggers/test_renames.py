"""A repository that was renamed or moved at its forge is a condition with the line of YAML to change."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import SourceLocation
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.events import Push, WebhookRepository
from danube_pkg.kit.records import replace
from tests.support.trigger_server import SHA, a_pipeline, open_trigger_server

OLD = WebhookRepository(
    "acme/a", ("https://git.example.org/acme/a.git", "ssh://git@git.example.org:2222/acme/a.git"), 7
)
NEW = WebhookRepository(
    "acme/b", ("https://git.example.org/acme/b.git", "ssh://git@git.example.org:2222/acme/b.git"), 7
)
PUSH = Push(OLD, "main", SHA, "alice", "m")
PLACE = SourceLocation("pipelines/app.yaml", 5)


@pytest.mark.parametrize("at", [0, 1], ids=["https", "ssh"])
async def test_a_renamed_repository_is_a_condition_until_the_pipeline_has_its_new_url(tmp_path: Path, at: int) -> None:
    async with open_trigger_server(tmp_path) as danube:
        app = replace(a_pipeline("app", TriggerKind.PUSH, repository=OLD.urls[at]), place=PLACE)
        await danube.configure(app)
        await danube.receive(PUSH)
        assert await danube.triggers.conditions() == []
        await danube.receive(replace(PUSH, repository=NEW), "d2")
        (condition,) = await danube.triggers.conditions()
        assert condition.reference == "repository-renamed"
        assert f"{OLD.urls[at]} is called acme/b now" in condition.what
        assert condition.hint == f"in pipelines/app.yaml:5: repository: {NEW.urls[at]}"
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(app)
        assert [one.reference for one in await danube.triggers.conditions()] == ["repository-renamed"], (
            "after a restart"
        )
        await danube.configure(a_pipeline("app", TriggerKind.PUSH, repository=NEW.urls[at]))
        assert await danube.triggers.conditions() == []
        await danube.receive(replace(PUSH, repository=NEW), "d3")
        assert await danube.triggers.conditions() == []
        await danube.configure(app)
        await danube.receive(PUSH, "d4")
        assert await danube.triggers.conditions() == [], "and it was renamed back"


async def test_other_repositories_are_no_renames(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH, repository=OLD.urls[0]))
        await danube.receive(PUSH)
        elsewhere = replace(NEW, urls=("https://other.example.org/acme/b.git",))
        for number, other in enumerate([replace(NEW, id=8), replace(NEW, id=0), elsewhere]):
            await danube.receive(replace(PUSH, repository=other), f"other {number}")
        await danube.receive(replace(PUSH, repository=NEW), "of another forge", Forge.GITEA)
        assert await danube.triggers.conditions() == []
