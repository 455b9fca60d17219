"""Opens what starts jobs (inbox, webhooks, schedules) and what reports them (outbox, notifiers)."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from danube_pkg.adapters.mail.smtp import SmtpMail
from danube_pkg.adapters.store import SqliteInbox, SqliteOutbox
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.notifications.ports import OutboundHttp
from danube_pkg.core.notifications.rules import channels_of
from danube_pkg.core.repositories.ports import CommitStatuses, Members
from danube_pkg.core.triggers.ports import CommitReader, HeadReader, InboxStore
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.notifications.outbox import Outbox
from danube_pkg.services.notifications.senders import Notifiers
from danube_pkg.services.triggers.catch_up import CatchUps
from danube_pkg.services.triggers.inbox import Inbox, InboxPorts
from danube_pkg.services.triggers.schedules import Schedules
from danube_pkg.services.triggers.webhooks import Webhooks

_log = logging.getLogger("danube.triggers")


class TriggerParts(Record):
    """The inbox with its store, and what writes into it."""

    inbox: Inbox
    inbox_store: InboxStore
    webhooks: Webhooks
    schedules: Schedules
    catch_ups: CatchUps

    @property
    def conditions(self) -> tuple[ConditionSource, ...]:
        """The parts that report conditions."""
        return (self.webhooks, self.inbox, self.schedules, self.catch_ups)


class RepositoryReader(CommitReader, HeadReader, Protocol):
    """What triggers read of repositories beside their trees."""


def build_triggers(
    store: Store, jobs: EngineParts, reader: RepositoryReader, members: Members, configuration: ConfigurationSync
) -> TriggerParts:
    """The parts, not running yet."""
    inbox_store = SqliteInbox(store.database)
    ports = InboxPorts(inbox_store, store.pipelines, jobs.sources, reader, members, store.timing)
    inbox = Inbox(ports, jobs.engine, jobs.observer, jobs.secrets, configuration.pushed)
    schedules = Schedules(inbox, inbox_store, jobs.observer, store.timing, jobs.draining)
    webhooks = Webhooks(configuration.applied, jobs.secrets, inbox, store.clock, configuration.is_own)
    catch_ups = CatchUps(inbox_store, reader, jobs.observer, store.timing, jobs.draining, store.new_id)
    return TriggerParts(inbox, inbox_store, webhooks, schedules, catch_ups)


@asynccontextmanager
async def open_triggers(
    store: Store, jobs: EngineParts, reader: RepositoryReader, members: Members, configuration: ConfigurationSync
) -> AsyncIterator[TriggerParts]:
    """Runs until the block is left; the engine must be running already."""
    parts = build_triggers(store, jobs, reader, members, configuration)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(parts.inbox.running())
        owner = TaskOwner(logged(_log))
        stack.push_async_callback(owner.close)
        owner.start("schedules", parts.schedules.run())
        owner.start("catch-up", parts.catch_ups.run())
        yield parts


@asynccontextmanager
async def open_notifications(
    store: Store, jobs: EngineParts, statuses: CommitStatuses, http: OutboundHttp, external_url: str
) -> AsyncIterator[Outbox]:
    """An outbox that delivers until the block is left."""
    applied = jobs.observer.applied
    notifiers = Notifiers(applied, external_url, jobs.secrets, statuses, http, SmtpMail(), store.clock)
    outbox = Outbox(
        SqliteOutbox(store.database),
        store.timing,
        notifiers.senders(),
        jobs.observer.outbox_added,
        lambda: channels_of(applied.state),
        lambda: jobs.draining.is_restored,
    )
    jobs.draining.listen(jobs.observer.outbox_added.set)
    async with outbox.running():
        yield outbox
