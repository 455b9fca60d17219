"""The part of the composition root through which things come in and go out: inbox, clocks, outbox."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from danube_pkg.adapters.forges.client import HttpForges
from danube_pkg.adapters.mail.smtp import SmtpMail
from danube_pkg.adapters.store import Database, SqliteInbox, SqliteOutbox
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.repositories.ports import CommitStatuses, Sources
from danube_pkg.core.repositories.urls import same_repository
from danube_pkg.core.triggers.ports import ChangedFiles
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.tasks import TaskOwner
from danube_pkg.services.configuration.sync import Configuration
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.notifications.observer import News
from danube_pkg.services.notifications.outbox import Outbox
from danube_pkg.services.notifications.senders import Messengers
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.triggers.inbox import TriggerPorts, Triggers
from danube_pkg.services.triggers.schedules import Schedules
from danube_pkg.services.triggers.webhooks import Hooks


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the mailroom stands in. changes: the other side of `sources`. external_url: how people reach the server, now."""

    database: Database
    clock: Clock
    engine: Engine
    news: News
    configuration: Configuration
    pipelines: PipelineStore
    secrets: Secrets
    sources: Sources
    changes: ChangedFiles
    statuses: CommitStatuses
    forges: HttpForges
    external_url: Callable[[], str]
    is_paused: Callable[[], bool]
    on_task_failed: Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True)
class Mailroom:
    """What is reachable of a running one."""

    hooks: Hooks
    schedules: Schedules
    outbox: Outbox

    def conditions(self) -> list[Condition]:
        """What keeps it from its work."""
        return [*self.hooks.conditions, *self.schedules.conditions, *self.outbox.conditions]


@asynccontextmanager
async def open_mailroom(around: Surroundings) -> AsyncIterator[Mailroom]:
    """Running until the block is left; the engine must be running already."""
    inbox, clock, configuration = SqliteInbox(around.database), around.clock, around.configuration
    ports = TriggerPorts(inbox, around.pipelines, around.sources, around.changes, clock)
    triggers = Triggers(ports, around.engine, around.news, configuration.pushed)
    messengers = Messengers(
        lambda: configuration.config,
        around.external_url,
        around.secrets,
        around.statuses,
        around.forges,
        SmtpMail(),
        clock,
    )
    outbox = Outbox(SqliteOutbox(around.database), clock, messengers.senders())
    around.news.on_outbox = outbox.look
    schedules = Schedules(triggers, inbox, around.news, clock, around.is_paused)

    def is_configuration(repository: str) -> bool:
        return same_repository(repository, configuration.circumstances.repository.url)

    hooks = Hooks(lambda: configuration.config, around.secrets, triggers, clock, is_configuration)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(outbox.running())
        await stack.enter_async_context(triggers.running())
        owner = TaskOwner(around.on_task_failed)
        stack.push_async_callback(owner.close)
        owner.start("schedules", schedules.run())
        yield Mailroom(hooks, schedules, outbox)
