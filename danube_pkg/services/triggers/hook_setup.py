"""Makes and repairs the webhooks of pipelines' repositories at their forges, and their deploy keys on request.

The secret and the marker of a webhook are stored before the forge is asked to make it, so that one that was made just
before the server ended is found again by its marker. Webhooks without a marker of this server are never changed.
"""

import asyncio
from collections.abc import Callable, Sequence

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forge_hooks import (
    ForgeHook,
    has_key,
    hook_of,
    hook_request,
    hooks_of,
    hooks_request,
    key_request,
    keys_request,
    repository_request,
    rights_of,
)
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.git_authentication import SshKey
from danube_pkg.core.repositories.ports import ForgeApi
from danube_pkg.core.secrets.ports import SecretCipher
from danube_pkg.core.triggers.managed_hooks import (
    HookStore,
    ManagedHook,
    ManagedRepository,
    hook_secret_name,
    hook_url,
    managed_repositories,
    not_managed,
    unusable_url,
)
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import Record, replace
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from danube_pkg.services.secrets import KnownValues

EVERY_SECONDS = 3600.0
"""A webhook that was changed or removed at the forge is repaired within an hour."""

RETRIES = Pauses(first=60.0, cap=EVERY_SECONDS)

SECRET_BYTES = 32

HOOKS, DEPLOY_KEYS = {"repository_hooks": "write"}, {"administration": "write"}
"""The permissions of a GitHub App's token."""

_log = EventLog("danube.hooks")


class HookPorts(Record):
    """The ports of the set-up. random_bytes: of that many bytes, for secrets and markers."""

    store: HookStore
    cipher: SecretCipher
    forges: ForgeApi
    credentials: ConfiguredCredentials
    known: KnownValues
    timing: Timing
    random_bytes: Callable[[int], bytes]


class HookSetup:
    """external_url: of this server. deploy_key: the public half of its key. is_silent: whether no forge may be written
    to at present; `wake` is called when that ends."""

    def __init__(
        self,
        ports: HookPorts,
        observer: JobObserver,
        external_url: str,
        deploy_key: str,
        is_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_silent = is_silent
        self._ports = ports
        self._observer = observer
        self._external_url = external_url
        self._deploy_key = deploy_key
        self._wake = asyncio.Event()
        self._unsure: set[str] = set()
        """Markers of webhooks whose deliveries were refused: their secret is set again."""
        self._conditions: tuple[Condition, ...] = ()
        self._refusals = Streak("hook-management", ports.timing, RETRIES, log=_log.logger)
        observer.applied.listen(self._wake.set)

    async def run(self) -> None:
        """Makes and repairs until it is cancelled: at the start, after each change of the configuration, each hour."""
        streak = Streak("hook-setup", self._ports.timing, RETRIES, log=_log.logger)
        await for_ever(self.set_up, streak, self._ports.timing, expected=(PlatformError,), wake=self._wake)

    def wake(self) -> None:
        """Check now."""
        self._wake.set()

    async def conditions(self) -> Sequence[Condition]:
        """Repositories whose webhook the server could not make or repair."""
        return self._conditions

    async def secret_of(self, forge: Forge, marker: str) -> tuple[ManagedHook, bytes] | None:
        """The webhook with that marker and its secret; None for a marker that this server did not make."""
        hook = await self._ports.store.hook_with(marker)
        if hook is None or hook.forge is not forge:
            return None
        return hook, await self._secret(hook)

    def doubt(self, hook: ManagedHook) -> None:
        """A delivery was refused: its secret at the forge may be another, and is set again at the next check."""
        self._unsure.add(hook.marker)

    async def set_up(self) -> float | None:
        """Check every repository once; the answer is how many seconds to wait before the next check."""
        wanted = list(managed_repositories(self._observer.applied.state))
        if not wanted or self._is_silent():
            self._conditions = ()
            return None
        if (unusable := unusable_url(self._external_url)) is not None:
            self._conditions = (unusable,)
            return None
        found, last = [], None
        for one in wanted:
            try:
                await self._check(one)
            except PlatformError as error:
                found.append(not_managed(one, self._external_url, str(error)))
                last = error
        self._conditions = tuple(found)
        if last is not None:
            return self._refusals.failed(last)
        self._refusals.succeeded()
        return EVERY_SECONDS

    async def _check(self, one: ManagedRepository) -> None:
        """Make or repair the webhook of a repository, and its deploy key. Raises Permanent, Unavailable."""
        forge, forges = one.project.forge, self._ports.forges
        token = await self._token(one, HOOKS)
        hook = await self._ports.store.hook_of(one.name)
        if hook is None or hook.forge is not forge:
            hook = await self._new_hook(one, token)
        url, secret = hook_url(self._external_url, forge, hook.marker), (await self._secret(hook)).decode()
        listed = hooks_of(forge, await forges.call(hooks_request(one.project, token)))
        own = next((found for found in listed if _is_own(found, hook)), None)
        if own is None:
            own = hook_of(forge, await forges.call(hook_request(one.project, token, url, secret)))
            _log.info("hook-made", repository=one.name)
        elif own.url != url or not own.is_complete or hook.marker in self._unsure:
            await forges.call(hook_request(one.project, token, url, secret, own.id))
            _log.info("hook-repaired", repository=one.name)
        self._unsure.discard(hook.marker)
        if own is not None and own.id != hook.hook_id:
            await self._ports.store.put_hook(replace(hook, hook_id=own.id))
        if one.deploy_key:
            await self._add_deploy_key(one)

    async def _new_hook(self, one: ManagedRepository, token: str) -> ManagedHook:
        rights = rights_of(one.project.forge, await self._ports.forges.call(repository_request(one.project, token)))
        marker, secret = self._ports.random_bytes(16).hex(), self._ports.random_bytes(SECRET_BYTES).hex()
        encrypted = self._ports.cipher.encrypt_secret(marker, hook_secret_name(one.name), secret.encode())
        made = ManagedHook(one.name, one.project.forge, marker, encrypted, one.url, repository_id=rights.repository_id)
        await self._ports.store.put_hook(made)
        return made

    async def _add_deploy_key(self, one: ManagedRepository) -> None:
        token = await self._token(one, DEPLOY_KEYS)
        if not has_key(await self._ports.forges.call(keys_request(one.project, token)), self._deploy_key):
            await self._ports.forges.call(key_request(one.project, token, "danube", self._deploy_key))
            _log.info("deploy-key-added", repository=one.name)

    async def _token(self, one: ManagedRepository, permissions: dict[str, str]) -> str:
        rule = one.project.rule
        assert not isinstance(rule, SshKey), "a repository without an API is not managed"
        return await self._ports.credentials.api_token(rule, permissions)

    async def _secret(self, hook: ManagedHook) -> bytes:
        value = self._ports.cipher.decrypt_secret(hook.stored_secret)
        await self._ports.known.hold(f"webhook of {hook.repository}", value)
        return value


def _is_own(found: ForgeHook, hook: ManagedHook) -> bool:
    """By marker and id; only the marker before the id is known."""
    return found.marker == hook.marker and hook.hook_id in ("", found.id)
