"""Opens what starts jobs (inbox, webhooks, schedules) and what reports them (outbox, notifiers)."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from danube_pkg.adapters.mail.smtp import SmtpMail
from danube_pkg.adapters.store import SqliteHooks, SqliteInbox, SqliteOutbox
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.notifications.ports import OutboundHttp
from danube_pkg.core.notifications.rules import channels_of
from danube_pkg.core.repositories.ports import CommitStatuses, ForgeApi
from danube_pkg.core.triggers.ports import CommitReader, HeadReader, InboxStore
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.notifications.outbox import Outbox
from danube_pkg.services.notifications.senders import Notifiers
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from danube_pkg.services.repositories.members import ForgeMembers
from danube_pkg.services.triggers.catch_up import CatchUps
from danube_pkg.services.triggers.forge_check import CheckPorts, ForgeChecks
from danube_pkg.services.triggers.hook_setup import HookPorts, HookSetup
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
    hook_setup: HookSetup
    forge_checks: ForgeChecks

    @property
    def conditions(self) -> tuple[ConditionSource, ...]:
        """The parts that report conditions."""
        return (self.webhooks, self.inbox, self.schedules, self.catch_ups, self.hook_setup)


class RepositoryReader(CommitReader, HeadReader, Protocol):
    """What triggers read of repositories beside their trees."""


class ForgeAccess(Record):
    """How repositories and their forges are reached. deploy_key: the public half of the server's key; external_url: of
    the server."""

    reader: RepositoryReader
    api: ForgeApi
    credentials: ConfiguredCredentials
    deploy_key: str
    external_url: str


def build_triggers(
    store: Store, jobs: EngineParts, forges: ForgeAccess, configuration: ConfigurationSync
) -> TriggerParts:
    """The parts, not running yet."""
    inbox_store, hooks, observer = SqliteInbox(store.database), SqliteHooks(store.database), jobs.observer
    members = ForgeMembers(observer.applied, forges.credentials, forges.api)
    ports = InboxPorts(inbox_store, store.pipelines, jobs.sources, forges.reader, members, store.timing)
    inbox = Inbox(ports, jobs.engine, observer, jobs.secrets, configuration.pushed)
    schedules = Schedules(inbox, inbox_store, observer, store.timing, jobs.draining)
    known = jobs.secrets.known
    hook_ports = HookPorts(hooks, store.keys, forges.api, forges.credentials, known, store.timing, os.urandom)
    draining = jobs.draining
    setup = HookSetup(hook_ports, observer, forges.external_url, forges.deploy_key, lambda: draining.is_restored)
    draining.listen(setup.wake)
    checks = ForgeChecks(CheckPorts(forges.reader, forges.api, forges.credentials, inbox_store, hooks), observer)
    webhooks = Webhooks(configuration.applied, jobs.secrets, inbox, store.clock, configuration.is_own, setup)
    catch_ups = CatchUps(inbox_store, forges.reader, observer, store.timing, jobs.draining, store.new_id)
    return TriggerParts(inbox, inbox_store, webhooks, schedules, catch_ups, setup, checks)


@asynccontextmanager
async def open_triggers(
    store: Store, jobs: EngineParts, forges: ForgeAccess, configuration: ConfigurationSync
) -> AsyncIterator[TriggerParts]:
    """Runs until the block is left; the engine must be running already."""
    parts = build_triggers(store, jobs, forges, configuration)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(parts.inbox.running())
        owner = TaskOwner(logged(_log))
        stack.push_async_callback(owner.close)
        owner.start("schedules", parts.schedules.run())
        owner.start("catch-up", parts.catch_ups.run())
        owner.start("hook-setup", parts.hook_setup.run())
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
