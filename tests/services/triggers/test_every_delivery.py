"""Recorded deliveries of all forges, as they are and with odd values, in any order: each signed one is answered for,
also those that a killed server had stored and not settled."""

import dataclasses
import json
import random
from pathlib import Path

from danube_pkg.core.configuration.config import WebhookSpec
from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import Invalid
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.inbox import InboxFilter
from danube_pkg.services.triggers.webhooks import Webhooks
from tests.core.triggers.webhooks.recorded import SECRET, Recorded, recorded
from tests.support.trigger_server import TriggerServer, a_pipeline, open_trigger_server

HOOKS = tuple(WebhookSpec(forge, ("hook",)) for forge in Forge)
ODD: list[object] = [None, "", 7, [], {}, "a\nb\x00", "x" * 5000]
KEYS = ("ref", "after", "before", "commits", "repository", "project", "pull_request", "object_attributes", "sender")


def odd(each: Recorded, numbers: random.Random) -> Recorded:
    """With one value of its body replaced."""
    document = each.document
    known = [key for key in KEYS if key in document]
    if known:
        document[numbers.choice(known)] = numbers.choice(ODD)
    return dataclasses.replace(each, body=json.dumps(document).encode())


async def send(danube: TriggerServer, deliveries: list[Recorded]) -> set[tuple[str, str]]:
    """The ids of all; each is accepted, or refused as unreadable."""
    hooks = Webhooks(danube.applied, danube.secrets, danube.triggers, danube.clock, lambda url: False)
    ids = set()
    for number, each in enumerate(deliveries):
        named = {
            key: f"{each}-{number}" if "delivery" in key or "uuid" in key else value
            for key, value in each.headers.items()
        }
        named.pop("idempotency-key", None)
        signed = {**dataclasses.replace(each, headers=named).signed()}
        try:
            ids.add((str(each.forge), (await hooks.receive(each.forge, signed, each.body)).id))
        except Invalid:
            ids.add((str(each.forge), f"{each}-{number}"))
    return ids


async def test_each_signed_delivery_is_answered_for(tmp_path: Path) -> None:
    numbers = random.Random(1)
    deliveries = [*recorded(), *(odd(each, numbers) for each in recorded())]
    numbers.shuffle(deliveries)
    every = [
        a_pipeline(name, TriggerKind.PUSH, TriggerKind.TAG, TriggerKind.PULL_REQUEST, repository=url)
        for name, url in {
            "github": "https://github.com/Codertocat/Hello-World",
            "gitlab": "https://gitlab.example.org/mike/diaspora",
            "gitea": "https://gitea.example.org/gitea/webhooks",
        }.items()
    ]
    async with open_trigger_server(tmp_path, running=False) as danube:
        await danube.configure(*every, webhooks=HOOKS)
        await danube.secret("hook", SECRET)
        ids = await send(danube, deliveries)
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(*every, webhooks=HOOKS)
        await danube.settled()
        entries = await danube.inbox.list_entries(InboxFilter(limit=10_000))
        assert {(str(one.source), one.key) for one in entries} == ids
        assert len(ids) == len(deliveries)
        assert all(one.settled_at is not None and (one.note or one.outcomes) for one in entries)
        started = {outcome.job_id for one in entries for outcome in one.outcomes if outcome.result == "started"}
        assert started == {job.id for job in await danube.jobs()}
        assert started
