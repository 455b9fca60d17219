"""Checks each repository at its forge: can it be read, do webhooks arrive, can statuses be set, which rights are
missing. It changes nothing."""

import asyncio
from collections.abc import Mapping, Sequence

from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.repositories.forge_hooks import hooks_of, hooks_request, repository_request, rights_of
from danube_pkg.core.repositories.forges import ForgeProject, forge_project
from danube_pkg.core.repositories.git_authentication import GithubApp, SshKey
from danube_pkg.core.repositories.ports import ForgeApi
from danube_pkg.core.repositories.urls import canonical
from danube_pkg.core.triggers.heads import repository_at
from danube_pkg.core.triggers.inbox import EntrySource, InboxFilter
from danube_pkg.core.triggers.managed_hooks import (
    HookStore,
    managed_repositories,
    missing_rights,
    with_webhook_triggers,
)
from danube_pkg.core.triggers.ports import HeadReader, InboxStore
from danube_pkg.kit.records import Record
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.repositories.credentials import STATUSES, ConfiguredCredentials
from danube_pkg.services.triggers.hook_setup import HOOKS

AT_ONCE = 4
"""Repositories that are checked at the same time; each is three requests."""

MAX_REPOSITORIES = 500
"""More would take longer than a client waits."""

NEVER_ARRIVED = "no delivery of a webhook has arrived in 30 days"


class RepositoryCheck(Record):
    """One repository. forge: "" if it is not known. Each problem is a sentence, or "" where there is none.

    arrived_at: when the last webhook delivery came, in Unix seconds. missing: rights that the credential lacks.
    """

    repository: str
    pipelines: tuple[str, ...]
    forge: str
    read_problem: str
    webhook_problem: str
    status_problem: str
    arrived_at: float | None
    missing: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.read_problem or self.webhook_problem or self.status_problem or self.missing)


class CheckPorts(Record):
    """The ports of the check."""

    reader: HeadReader
    forges: ForgeApi
    credentials: ConfiguredCredentials
    inbox: InboxStore
    hooks: HookStore


class ForgeChecks:
    """The check of all repositories whose pipelines wait for webhooks."""

    def __init__(self, ports: CheckPorts, observer: JobObserver) -> None:
        self._ports = ports
        self._observer = observer

    async def check(self) -> Sequence[RepositoryCheck]:
        """Sorted by repository. No problem of one hides another."""
        wanted = sorted(with_webhook_triggers(self._observer.applied.state).items())[:MAX_REPOSITORIES]
        places = asyncio.Semaphore(AT_ONCE)

        async def one(url: str, pipelines: Sequence[PipelineDefinition]) -> RepositoryCheck:
            async with places:
                return await self._check(url, pipelines)

        return await asyncio.gather(*(one(url, pipelines) for url, pipelines in wanted))

    async def _check(self, url: str, pipelines: Sequence[PipelineDefinition]) -> RepositoryCheck:
        state = self._observer.applied.state
        project = forge_project(url, state.config.git_authentication)
        read_problem = ""
        try:
            await self._ports.reader.list_heads(url)
        except PlatformError as error:
            read_problem = str(error)
        arrived_at = await self._arrived_at(url)
        managed = any(one.url == url for one in managed_repositories(state))
        webhook_problem = "" if arrived_at is not None else NEVER_ARRIVED
        status_problem, missing = "no rule of git_authentication with an API matches it", list[str]()
        if project is not None and not isinstance(project.rule, SshKey):
            status_problem, may_manage = await self._rights(project)
            if managed and not may_manage:
                missing.append(missing_rights(project.forge))
            if managed:
                webhook_problem = await self._hook_problem(url, project) if may_manage else webhook_problem
        return RepositoryCheck(
            canonical(url),
            tuple(sorted(one.name for one in pipelines)),
            str(project.forge) if project is not None else "",
            read_problem,
            webhook_problem,
            status_problem,
            arrived_at,
            tuple(missing),
        )

    async def _arrived_at(self, url: str) -> float | None:
        wanted = InboxFilter(repository=repository_at(url).name, limit=20)
        found = await self._ports.inbox.list_entries(wanted)
        return next((one.received_at for one in found if one.source is not EntrySource.COMPARISON), None)

    async def _rights(self, project: ForgeProject) -> tuple[str, bool]:
        """Why no status can be set ("" where it can), and whether webhooks may be changed."""
        rule = project.rule
        try:
            if isinstance(rule, GithubApp):  # the rights of its tokens are those that they are requested with
                await self._ports.credentials.api_token(rule, STATUSES)
                return "", await self._may(rule, HOOKS)
            assert not isinstance(rule, SshKey), "a key has no API"
            token = await self._ports.credentials.api_token(rule)
            rights = rights_of(project.forge, await self._ports.forges.call(repository_request(project, token)))
        except PlatformError as error:
            return str(error), False
        return "" if rights.status else f"the credential {rule.name} may not set commit statuses", rights.hooks

    async def _may(self, app: GithubApp, permissions: Mapping[str, str]) -> bool:
        try:
            await self._ports.credentials.api_token(app, permissions)
        except PlatformError:
            return False
        return True

    async def _hook_problem(self, url: str, project: ForgeProject) -> str:
        """Why the webhook that the server made cannot arrive; "" where the forge has it."""
        hook = await self._ports.hooks.hook_of(canonical(url).lower())
        if hook is None or isinstance(project.rule, SshKey):
            return "the server has not made the webhook yet: danube config status"
        try:
            token = await self._ports.credentials.api_token(project.rule, HOOKS)
            listed = hooks_of(project.forge, await self._ports.forges.call(hooks_request(project, token)))
        except PlatformError as error:
            return str(error)
        own = next((one for one in listed if one.marker == hook.marker), None)
        if own is None:
            return "the webhook that the server made is gone; it is made again within an hour"
        return (
            "" if own.is_complete else "the webhook is switched off or sends too little; it is repaired within an hour"
        )
