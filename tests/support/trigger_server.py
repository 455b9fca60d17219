"""The parts of a server that start and report jobs: stores, engine, inbox, schedules, outbox; no pods, no HTTP.

async with open_trigger_server(tmp_path) as danube:
    danube.configure(a_pipeline("app", TriggerSpec(TriggerKind.PUSH)))
    await danube.receive(PUSH)
    assert [job.pipeline for job in await danube.jobs()] == ["app"]
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from danube_pkg.adapters.store import (
    Database,
    SqliteInbox,
    SqliteOutbox,
)
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import Applied, PipelineDefinition, State, pipeline_of
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.notifications.outbox import OutboxKind
from danube_pkg.core.notifications.rules import channels_of
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.core.triggers.inbox import InboxEntry
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery
from danube_pkg.core.triggers.webhooks.events import WebhookEvent, WebhookRepository
from danube_pkg.kit.ids import SortableIds
from danube_pkg.kit.records import replace
from danube_pkg.services.notifications.outbox import Outbox, Send
from danube_pkg.services.triggers.catch_up import CatchUps
from danube_pkg.services.triggers.inbox import Inbox, InboxPorts
from danube_pkg.services.triggers.schedules import Schedules
from tests.fakes.members import FakeMembers
from tests.fakes.sources import FakeSources
from tests.support.databases import open_new_database
from tests.support.moved_clock import MovedClock
from tests.support.parts import engine_on, fake_runtime, limited_to, store_on
from tests.support.waiting import wait_until_true

SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
NEWEST = "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327"
URL = "https://git.example.org/team/app"
REPOSITORY = WebhookRepository("team/app", (f"{URL}.git",))
NOON = 1_800_014_400.0
"""2027-01-15 12:00 UTC, a Friday."""

SECONDS = 30.0


async def eventually(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Wait for a condition that only other tasks and threads can bring about."""
    await wait_until_true(condition, SECONDS, what)


def a_pipeline(name: str, *kinds: TriggerKind | TriggerSpec, repository: str = URL, **spec: Any) -> PipelineDefinition:
    triggers = tuple(one if isinstance(one, TriggerSpec) else TriggerSpec(one) for one in kinds)
    return PipelineDefinition(name, "", PipelineSpec(repository, triggers=triggers, **spec))


class TriggerServer:
    """The parts for a test. The engine starts no job, so that jobs stay as they are until a test acts on them."""

    def __init__(self, database: Database, path: Path, clock: MovedClock, sources: FakeSources) -> None:
        self.clock, self.sources = clock, sources
        self.new_id = SortableIds(clock.now, os.urandom)
        self.database = database
        store = store_on(database, path, clock, self.new_id)
        self.applied = limited_to(0)
        parts = engine_on(store, self.applied, fake_runtime(path), sources)
        self.timing = store.timing
        self.store, self.pipelines, self.secrets = store.jobs, store.pipelines, parts.secrets
        self.engine, self.observer, self.draining = parts.engine, parts.observer, parts.draining
        self.inbox, self.outbox_store = SqliteInbox(database), SqliteOutbox(database)
        self.members = FakeMembers()
        self.pushed: list[tuple[str, str]] = []
        ports = InboxPorts(self.inbox, self.pipelines, sources, sources, self.members, store.timing)
        self.triggers = Inbox(ports, self.engine, self.observer, self.secrets, self._note_push)
        self.catch_ups = CatchUps(
            self.inbox, sources, self.observer, store.timing, self.draining, lambda: str(self.new_id())
        )
        self.schedules = Schedules(self.triggers, self.inbox, self.observer, store.timing, self.draining)

    def _note_push(self, url: str, branch: str) -> bool:
        self.pushed.append((url, branch))
        return False

    async def configure(self, *pipelines: PipelineDefinition, **config: Any) -> None:
        """Apply a configuration with these pipelines, as if a sync had read it."""
        spec = ConfigSpec(**{"max_concurrent_jobs": 0, **config})
        self.applied.replace(State(spec, {}, {}, {one.name: one for one in pipelines}), Applied())
        known = [pipeline_of(one, spec, f"id-{one.name}") for one in pipelines]
        await self.pipelines.apply_pipelines(known, "revision")

    async def secret(self, name: str, value: bytes) -> None:
        await self.secrets.set(SecretName(None, name), value, "test")

    async def receive(self, event: WebhookEvent, delivery: str = "d1", forge: Forge = Forge.GITHUB) -> bool:
        """Receive a delivery, and wait until it is settled."""
        new = await self.triggers.receive(WebhookDelivery(forge, delivery, event))
        await self.settled()
        return new

    async def settled(self, *, moving: bool = False) -> None:
        """Wait until the inbox is settled and the engine has the new jobs. moving: the clock advances meanwhile."""

        async def is_empty() -> bool:
            self.clock.move(1 if moving else 0)
            if await self.inbox.open_entries(0, 1):
                return False
            # Read after the entries: an entry is settled in the transaction that makes its jobs.
            made = {row["id"] for row in self.database.read("SELECT id FROM jobs WHERE phase <> 'closed'")}
            return made <= {job.id for job in self.engine.open_jobs}

        await eventually(is_empty, "the inbox to be empty")

    async def outcome(self, delivery: str = "d1", source: str = Forge.GITHUB) -> str:
        """A line for each pipeline, or the note about the whole entry."""
        entry = await self.inbox.entry(source, delivery)
        assert isinstance(entry, InboxEntry)
        return "\n".join([f"{one.pipeline}: {one.why or one.result}" for one in entry.outcomes] or [entry.note])

    async def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        rows = self.database.read("SELECT id FROM jobs ORDER BY id")
        found = [await self.engine.find(row["id"]) for row in rows]
        return [job for job in found if job is not None]

    async def outbox_lines(self) -> list[str]:
        """The outbox, oldest first, a line for each entry: kind, pipeline, status, reason."""
        rows = self.database.read(
            "SELECT kind, json_extract(notification, '$.pipeline') AS pipeline, json_extract(notification, '$.status') AS status, "
            "json_extract(notification, '$.reason') AS reason FROM outbox ORDER BY id"
        )
        return [" ".join(filter(None, row)) for row in rows]


@asynccontextmanager
async def open_trigger_server(
    path: Path, clock: MovedClock | None = None, *, running: bool = True
) -> AsyncIterator[TriggerServer]:
    """On a data directory, which may have been used before. running: whether the inbox's loop runs."""
    async with AsyncExitStack() as stack:
        database = open_new_database(path / "danube.db")
        stack.push_async_callback(database.close)
        danube = TriggerServer(database, path, clock or MovedClock(NOON), FakeSources(NEWEST))
        await stack.enter_async_context(danube.engine.running())
        if running:
            await stack.enter_async_context(danube.triggers.running())
        yield danube


@asynccontextmanager
async def delivering(danube: TriggerServer, senders: Mapping[OutboxKind, Send]) -> AsyncIterator[Outbox]:
    """Runs the outbox's loop."""
    outbox = Outbox(
        danube.outbox_store,
        danube.timing,
        senders,
        danube.observer.outbox_added,
        lambda: channels_of(danube.applied.state),
    )
    async with outbox.running():
        yield outbox


def with_spec(one: PipelineDefinition, **spec: Any) -> PipelineDefinition:
    return replace(one, spec=replace(one.spec, **spec))
