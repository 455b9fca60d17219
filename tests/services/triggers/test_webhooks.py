"""Refused webhook deliveries are a condition until one is accepted, and do not fill the page or the log."""

import hashlib
import hmac
import json
import logging
from pathlib import Path
from urllib.parse import urlencode

import pytest

from danube_pkg.core.configuration.config import WebhookSpec
from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import Invalid, Unauthenticated
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.core.triggers.inbox import InboxFilter
from danube_pkg.services.triggers.webhooks import FORGET_SECONDS, Webhooks
from tests.support.trigger_server import (
    SHA,
    URL,
    TriggerServer,
    a_pipeline,
    open_trigger_server,
)

SECRET = b"a secret of the webhook"
WEBHOOKS = (WebhookSpec(Forge.GITHUB, ("old", "new")),)


def hooks_of(danube: TriggerServer, configuration: str = "") -> Webhooks:
    return Webhooks(
        danube.applied, danube.secrets, danube.triggers, danube.clock, lambda url: url == configuration != ""
    )


def push(url: str = f"{URL}.git") -> bytes:
    repository = {"full_name": "team/app", "clone_url": url}
    document = {"ref": "refs/heads/main", "after": SHA, "before": SHA, "repository": repository}
    return json.dumps(document).encode()


def headers(body: bytes, secret: bytes = SECRET, delivery: str = "d1") -> dict[str, str]:
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": delivery,
        "x-hub-signature-256": f"sha256={digest}",
    }


async def refuse(hooks: Webhooks, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            await hooks.receive(Forge.GITHUB, headers(push(), b"another"), push())


async def test_refused_deliveries_are_a_condition_until_one_is_accepted(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH), webhooks=WEBHOOKS)
        await danube.secret("new", SECRET)
        hooks = hooks_of(danube)
        await refuse(hooks, 3)
        (condition,) = await hooks.conditions()
        assert condition.reference == "hooks-refused"
        assert condition.what.startswith(
            "webhooks of github have been refused since 2027-01-15 12:00 UTC: this delivery's sig"
        )
        assert condition.what.endswith("(3 in a row)")
        assert condition.hint == "set the same value here and at the forge: danube secrets set new"
        assert (await hooks.receive(Forge.GITHUB, headers(push()), push())).is_new
        assert (await hooks.conditions()) == []


async def test_before_the_first_configuration_the_condition_blames_no_secret(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        hooks = hooks_of(danube)
        await refuse(hooks)
        (condition,) = await hooks.conditions()
        assert "no configuration is applied yet" in condition.what
        assert "danube config status" in condition.hint


async def test_the_condition_of_a_forge_without_a_secret_has_the_configuration_to_add(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH))
        hooks = hooks_of(danube)
        await refuse(hooks)
        (condition,) = await hooks.conditions()
        assert "config.yaml names no secret for github" in condition.what
        assert "webhooks: [{forge: github, secrets: [NAME]}]" in condition.hint


async def test_an_unauthenticated_clients_tries_are_forgotten_and_do_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        hooks = hooks_of(danube)
        with caplog.at_level(logging.WARNING, "danube.hooks"):
            await refuse(hooks, 100)
        assert len([one for one in caplog.records if one.getMessage() == "hook-refused"]) == 7
        danube.clock.move(FORGET_SECONDS)
        assert (await hooks.conditions()) == []
        await refuse(hooks)
        assert "(1 in a row)" in (await hooks.conditions())[0].what


async def test_the_configurations_own_repository_needs_no_pipeline(tmp_path: Path) -> None:
    own, other = "https://git.example.org/ops/config.git", "https://git.example.org/ops/other.git"
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(webhooks=WEBHOOKS)
        await danube.secret("new", SECRET)
        hooks = hooks_of(danube, configuration=own)
        unknown = await hooks.receive(Forge.GITHUB, headers(push(other), delivery="d0"), push(other))
        assert not unknown.has_pipeline
        assert (await hooks.receive(Forge.GITHUB, headers(push(own)), push(own))).is_new
        await danube.settled()
        assert danube.pushed == [(other, "main"), (own, "main")]
        assert "a push to the configuration repository starts a sync" in await danube.outcome()


async def test_every_signed_delivery_is_listed_with_what_came_of_it(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH), webhooks=WEBHOOKS)
        await danube.secret("new", SECRET)
        hooks = hooks_of(danube)
        with pytest.raises(Invalid, match="cannot be read"):
            await hooks.receive(Forge.GITHUB, headers(b"{", delivery="odd"), b"{")
        other = push("https://git.example.org/other/app.git")
        await hooks.receive(Forge.GITHUB, headers(other, delivery="unknown"), other)
        await hooks.receive(Forge.GITHUB, {**headers(b"{}", delivery="star"), "x-github-event": "star"}, b"{}")
        await hooks.receive(Forge.GITHUB, {**headers(b"{}", delivery="ping"), "x-github-event": "ping"}, b"{}")
        await danube.settled()
        assert "it is not valid JSON" in await danube.outcome("odd")
        assert (await danube.outcome("unknown")).startswith("no pipeline uses this repository")
        assert await danube.outcome("star") == "events of this type start nothing"
        assert await danube.outcome("ping") == "the forge tested its webhook, which arrived"
        assert [one.key for one in await danube.inbox.list_entries(InboxFilter())] == ["ping", "star", "unknown", "odd"]
        assert await danube.inbox.forget_settled(0.0, 4e9) == 4


async def test_a_delivery_that_concerned_no_pipeline_can_be_delivered_again(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(webhooks=WEBHOOKS)
        await danube.secret("new", SECRET)
        hooks = hooks_of(danube)
        assert not (await hooks.receive(Forge.GITHUB, headers(push()), push())).has_pipeline
        await danube.settled()
        await danube.configure(a_pipeline("app", TriggerKind.PUSH), webhooks=WEBHOOKS)
        assert (await hooks.receive(Forge.GITHUB, headers(push()), push())).is_new
        await danube.settled()
        assert not (await hooks.receive(Forge.GITHUB, headers(push()), push())).is_new
        assert [job.pipeline for job in await danube.jobs()] == ["app"]


async def test_a_form_of_gitea_is_signed_by_its_document(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH), webhooks=(WebhookSpec(Forge.GITEA, ("new",)),))
        await danube.secret("new", SECRET)
        hooks, body = hooks_of(danube), urlencode({"payload": push().decode()}).encode()
        sent = {
            "content-type": "application/x-www-form-urlencoded",
            "x-gitea-event": "push",
            "x-gitea-delivery": "d1",
            "x-gitea-signature": hmac.new(SECRET, push(), hashlib.sha256).hexdigest(),
        }
        assert (await hooks.receive(Forge.GITEA, sent, body)).is_new
        with pytest.raises(Unauthenticated):
            await hooks.receive(Forge.GITEA, sent, body.replace(b"team", b"gang"))


async def test_no_secret_of_a_delivery_is_stored_in_clear(tmp_path: Path) -> None:
    """Whichever pipeline's it is: the payload is stored before it is known whom it concerns."""
    value = "Kx9-clear-in-the-payload"
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH), webhooks=WEBHOOKS)
        await danube.secret("new", SECRET)
        await danube.secrets.set(SecretName("another", "TOKEN"), value.encode(), "test")
        hooks = hooks_of(danube)
        document = {
            **json.loads(push()),
            "head_commit": {"id": SHA, "message": f"use {value}", "author": {"name": value}},
        }
        body = json.dumps({**document, "ref": f"refs/heads/b-{value}", "sender": {"login": value}}).encode()
        assert (await hooks.receive(Forge.GITHUB, headers(body), body)).is_new
        elsewhere = push(f"https://example.org/{value}")
        await hooks.receive(Forge.GITHUB, headers(elsewhere, delivery="d2"), elsewhere)
        await danube.settled()
        (job,) = await danube.jobs()
        assert (job.trigger.revision.branch, job.trigger.revision.commit_sha) == ("b-***", SHA)
        assert job.trigger.revision.commit_message == "use ***"
        everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert SHA.encode() in everything
        assert value.encode() not in everything


async def test_the_repository_of_a_pipeline_is_found_though_a_secret_is_part_of_its_url(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.PUSH), webhooks=WEBHOOKS)
        await danube.secret("new", SECRET)
        await danube.secret("url", URL.encode())
        await hooks_of(danube).receive(Forge.GITHUB, headers(push()), push())
        await danube.settled()
        assert [job.pipeline for job in await danube.jobs()] == ["app"]
