"""Webhooks that the server makes at a forge by itself, on the fake of each forge."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.forges.client import HttpForges
from danube_pkg.adapters.store import SqliteHooks
from danube_pkg.core.configuration.config import WebhookSpec
from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.errors import Forbidden, Unauthenticated, Unavailable
from danube_pkg.core.repositories.forges import ApiRequest, Forge
from danube_pkg.core.repositories.git_authentication import HttpsToken
from danube_pkg.core.triggers.managed_hooks import ManagedHook
from danube_pkg.kit.records import replace
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from danube_pkg.services.triggers.forge_check import CheckPorts, ForgeChecks, RepositoryCheck
from danube_pkg.services.triggers.hook_setup import EVERY_SECONDS, HookPorts, HookSetup
from danube_pkg.services.triggers.webhooks import Webhooks
from tests.fakes.forge import FakeForge, FakeHook
from tests.fakes.forge_payloads import headers_of, signature_of
from tests.support.trigger_server import TriggerServer, a_pipeline, open_trigger_server

EXTERNAL = "https://ci.example.org"
APP, OTHER = "acme/app", "acme/other"


class Managed:
    """A server whose pipeline is of a repository at a fake forge, with the rights of its bot. api: what sends requests
    to the forge."""

    def __init__(self, forge: FakeForge, danube: TriggerServer, api: HttpForges, external_url: str = EXTERNAL) -> None:
        self.forge, self.danube, self.api = forge, danube, api
        self.hooks = SqliteHooks(danube.database)
        credentials = ConfiguredCredentials(
            danube.applied, ConfigRepository("config"), danube.secrets, api, danube.clock, "key"
        )
        ports = HookPorts(
            self.hooks, danube.secrets._cipher, api, credentials, danube.secrets.known, danube.timing, os.urandom
        )
        self.setup = HookSetup(ports, danube.observer, external_url, "ssh-ed25519 AAAA danube")
        self.webhooks = Webhooks(
            danube.applied, danube.secrets, danube.triggers, danube.clock, lambda url: False, self.setup
        )
        checks = CheckPorts(danube.sources, api, credentials, danube.inbox, self.hooks)
        self.checks = ForgeChecks(checks, danube.observer)

    async def configure(self, *, manage: bool = True, webhook: Mapping[str, Any] | None = None, url: str = "") -> None:
        token = HttpsToken(
            "bot",
            token_secret="forge-token",
            match_patterns=("127.0.0.1:*/*",),
            forge=str(self.forge.kind),
            api_url=self.forge.api_url,
            manage=manage,
        )
        spec = WebhookSpec(self.forge.kind, **(webhook if webhook is not None else {"manage": True}))
        pipeline = a_pipeline("app", TriggerKind.PUSH, repository=url or self.forge.clone_url(APP))
        await self.danube.configure(pipeline, webhooks=(spec,), git_authentication=(token,))
        await self.danube.secret("forge-token", self.forge.token.encode())

    @property
    def made(self) -> list[FakeHook]:
        return list(self.forge.by_name[APP].hooks.values())

    async def conditions(self) -> str:
        return "\n".join(f"{one.what}; {one.hint}" for one in await self.setup.conditions())

    async def deliver(self, hook: FakeHook, name: str = APP, secret: str = "", delivery: str = "d1") -> None:
        """What the forge sends to that webhook when a branch of the repository moved."""
        event, body = self.forge.pushed_body(name)
        headers = headers_of(
            self.forge.kind, event, delivery, signature_of(secret or hook.secret, body), secret or hook.secret
        )
        await self.webhooks.receive(self.forge.kind, headers, body, hook.url.rpartition("danube-hook=")[2])
        await self.danube.settled()

    async def check(self) -> RepositoryCheck:
        (found,) = await self.checks.check()
        return found


@asynccontextmanager
async def managed(path: Path, kind: Forge = Forge.GITEA, external_url: str = EXTERNAL) -> AsyncIterator[Managed]:
    path.mkdir(exist_ok=True)
    with FakeForge(kind, path / "forge") as forge:
        for name in (APP, OTHER):
            forge.create_repository(*name.split("/"))
            forge.commit(name)
        async with open_trigger_server(path) as danube:
            api = HttpForges()
            try:
                yield Managed(forge, danube, api, external_url)
            finally:
                await api.close()


@pytest.mark.parametrize("kind", Forge)
async def test_a_webhook_is_made_once_and_its_deliveries_start_jobs(tmp_path: Path, kind: Forge) -> None:
    async with managed(tmp_path, kind) as server:
        await server.configure()
        assert await server.setup.set_up() == EVERY_SECONDS
        (hook,) = server.made
        assert hook.url.startswith(f"{EXTERNAL}/hooks/{kind}?danube-hook=")
        assert len(hook.secret) == 64
        await server.deliver(hook)
        assert len(await server.danube.jobs()) == 1
        await server.setup.set_up()
        assert server.made == [hook], "nothing is left to do"
        assert (await server.check()).is_good
        stored = b"".join(one.read_bytes() for one in tmp_path.rglob("danube.db*"))
        assert hook.secret.encode() not in stored


@pytest.mark.parametrize("kind", Forge)
async def test_a_webhook_that_was_changed_or_removed_is_repaired(tmp_path: Path, kind: Forge) -> None:
    async with managed(tmp_path, kind) as server:
        await server.configure()
        await server.setup.set_up()
        (hook,) = server.made
        usual = hook.url
        hook.url = usual.replace("ci.example.org", "old.example.org")
        await server.setup.set_up()
        assert [one.url for one in server.made] == [usual]
        server.forge.by_name[APP].hooks.clear()
        await server.setup.set_up()
        assert [(one.url, one.secret) for one in server.made] == [(usual, hook.secret)]
        assert server.made[0].id != hook.id


async def test_the_secret_is_set_again_after_a_delivery_with_another_one(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        await server.configure()
        await server.setup.set_up()
        (hook,) = server.made
        usual, hook.secret = hook.secret, "changed at the forge"
        with pytest.raises(Unauthenticated):
            await server.deliver(hook)
        await server.setup.set_up()
        assert hook.secret == usual
        await server.deliver(hook)
        assert len(await server.danube.jobs()) == 1


async def test_webhooks_of_others_are_never_changed(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        server.forge.add_hook(APP, "https://elsewhere.example.org/hook", "theirs")
        server.forge.add_hook(APP, f"{EXTERNAL}/hooks/gitea", "made by hand")
        server.forge.add_hook(APP, f"{EXTERNAL}/hooks/gitea?danube-hook=of-another-server", "theirs")
        before = [replace_url(one) for one in server.made]
        await server.configure()
        await server.setup.set_up()
        await server.setup.set_up()
        assert [replace_url(one) for one in server.made[:3]] == before
        assert len(server.made) == 4


def replace_url(hook: FakeHook) -> tuple[int, str, str]:
    return hook.id, hook.url, hook.secret


async def test_a_webhook_that_was_made_just_before_the_server_ended_is_found_again(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        await server.configure()
        usual = server.api.call

        async def ends(request: ApiRequest) -> object:
            found = await usual(request)
            if request.method == "POST":
                raise Unavailable("forge-unreachable", "the answer was lost", hint="retry")
            return found

        server.api.call = ends  # type: ignore[method-assign]
        await server.setup.set_up()
        assert "the answer was lost" in await server.conditions()
        server.api.call = usual  # type: ignore[method-assign]
        again = Managed(server.forge, server.danube, server.api)
        await again.setup.set_up()
        assert len(again.made) == 1
        await again.deliver(again.made[0])
        assert len(await server.danube.jobs()) == 1


async def test_a_webhook_reports_its_own_repository_only_also_after_a_rename(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        await server.configure()
        await server.setup.set_up()
        (hook,) = server.made
        with pytest.raises(Forbidden, match="made for"):
            await server.deliver(hook, OTHER)
        assert await server.danube.jobs() == []
        server.forge.rename(APP, "app-two")
        await server.deliver(hook, "acme/app-two", delivery="d2")
        assert await server.danube.inbox.entry("gitea", "d2") is not None


async def test_a_secret_of_the_configuration_does_not_sign_for_a_made_webhook(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        await server.configure(webhook={"manage": True, "secrets": ("hook",)})
        await server.danube.secret("hook", b"a secret of config.yaml")
        await server.setup.set_up()
        (hook,) = server.made
        with pytest.raises(Unauthenticated):
            await server.deliver(hook, secret="a secret of config.yaml")
        by_hand = replace_marker(hook)
        await server.deliver(by_hand, secret="a secret of config.yaml")
        assert len(await server.danube.jobs()) == 1, "a webhook made by hand works beside it"


def replace_marker(hook: FakeHook) -> FakeHook:
    return FakeHook(0, f"{EXTERNAL}/hooks/gitea?danube-hook=", "")


@pytest.mark.parametrize("kind", Forge)
async def test_without_the_right_a_condition_says_what_to_click(tmp_path: Path, kind: Forge) -> None:
    async with managed(tmp_path, kind) as server:
        await server.configure()
        server.forge.set_bot(APP, "write")
        await server.setup.set_up()
        assert server.made == []
        shown = await server.conditions()
        page = "/-/hooks" if kind is Forge.GITLAB else "/settings/hooks"
        assert f"{APP}{page} add a webhook by hand: {EXTERNAL}/hooks/{kind}, application/json" in shown
        found = await server.check()
        assert (found.status_problem, len(found.missing), found.is_good) == ("", 1, False)
        server.forge.set_bot(APP, "admin")
        await server.setup.set_up()
        assert (len(server.made), await server.conditions()) == (1, "")


@pytest.mark.parametrize(
    ("external_url", "made"),
    [("", 0), ("http://ci.example.org", 0), ("http://127.0.0.1:8080", 1), ("https://ci.example.org/", 1)],
)
async def test_a_webhook_needs_an_https_url_of_the_server(tmp_path: Path, external_url: str, made: int) -> None:
    async with managed(tmp_path, external_url=external_url) as server:
        await server.configure()
        await server.setup.set_up()
        assert len(server.made) == made
        assert ("external_url" in await server.conditions()) == (not made)


@pytest.mark.parametrize(("rule", "webhook"), [(False, True), (True, False), (False, False)])
async def test_both_the_credential_and_the_webhooks_consent(tmp_path: Path, rule: bool, webhook: bool) -> None:
    async with managed(tmp_path) as server:
        await server.configure(manage=rule, webhook={"manage": webhook, "secrets": ("hook",)})
        assert await server.setup.set_up() is None
        assert (server.made, server.forge.calls) == ([], [])


@pytest.mark.parametrize("kind", Forge)
async def test_a_repository_that_is_read_over_ssh_gets_the_deploy_key_to_read_only(tmp_path: Path, kind: Forge) -> None:
    async with managed(tmp_path, kind) as server:
        url = f"ssh://git@127.0.0.1:2222/{APP}.git"
        await server.configure(webhook={"manage": True, "deploy_key": True}, url=url)
        await server.setup.set_up()
        await server.setup.set_up()
        (key,) = server.forge.by_name[APP].keys
        assert key["key"] == "ssh-ed25519 AAAA danube"
        assert key.get("read_only", not key.get("can_push", True)) is True


async def test_the_check_names_each_problem_of_a_repository(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        await server.configure(manage=False, webhook={"secrets": ("hook",)})
        server.danube.sources.failure = Unavailable("source-unreachable", "it does not answer", hint="look")
        server.forge.set_bot(APP, "read")
        found = await server.check()
        assert found.read_problem == "it does not answer"
        assert found.webhook_problem == "no delivery of a webhook has arrived in 30 days"
        assert found.status_problem == "the credential bot may not set commit statuses"
        assert found.missing == ()
        server.forge.set_bot(APP, "")
        assert "does not exist, or the credential may not see it" in (await server.check()).status_problem
        await server.danube.configure(a_pipeline("app", TriggerKind.PUSH))
        assert "no rule of git_authentication" in (await server.check()).status_problem


def test_the_fields_of_a_made_webhook_hide_its_secret() -> None:
    hook = ManagedHook("h/o/app", Forge.GITEA, "marker", b"the secret", "https://h/o/app")
    assert "the secret" not in repr(replace(hook, hook_id="7"))


async def test_a_restored_server_makes_no_webhook_until_it_is_resumed(tmp_path: Path) -> None:
    async with managed(tmp_path) as server:
        server.setup._is_silent = lambda: True
        await server.configure()
        assert await server.setup.set_up() is None
        assert server.made == []
        server.setup._is_silent = lambda: False
        await server.setup.set_up()
        assert len(server.made) == 1
