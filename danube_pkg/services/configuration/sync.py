"""Read → validate → diff → apply, all or nothing: a configuration with any mistake changes nothing, the last good one stays.

One sync at a time. `follow` looks again and again; `sync` and `pushed` may be called beside it at any moment (a person, a
webhook). What was applied is known again after a restart, also while the repository is away.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from danube_pkg.core.configuration.changes import Change, changed_fields, diff
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.plan import Plan, plan
from danube_pkg.core.configuration.ports import ConfigurationSource, ConfigurationStore
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.secret_names import named_secrets
from danube_pkg.core.configuration.settings import ConfigRepository, ServerSettings, waiting_for_restart
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import DanubeError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.urls import same_repository
from danube_pkg.core.secrets.ports import SecretStore
from danube_pkg.kit.clock import Clock
from danube_pkg.services.configuration.commit_status import ConfigurationReports

RESTART_HINT = "restart the server: jobs go on meanwhile"

_log = logging.getLogger("danube.configuration")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides beside the configuration: its place, the server's settings as they are in force, and who said them.

    written: keys of danube.toml; flags: settings that a flag of the command line said.
    """

    repository: ConfigRepository
    server: ServerSettings = field(default_factory=ServerSettings)
    written: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()


class Configuration:
    """The one that applies configuration. Call `load` before anything else.

    on_applied: called after each change, so that who depends on it looks again. reports: tells the repository's forge.
    """

    def __init__(
        self,
        source: ConfigurationSource,
        store: ConfigurationStore,
        secrets: SecretStore,
        clock: Clock,
        circumstances: Circumstances,
        on_applied: Callable[[], None],
        reports: ConfigurationReports | None = None,
    ) -> None:
        self._source = source
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self.circumstances = circumstances
        self._on_applied = on_applied
        self._reports = reports
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._status = ConfigurationStatus()
        self._state = State()
        self._begun_with: ConfigSpec | None = None
        self._named: frozenset[str] = frozenset()
        self.further_conditions: Callable[[], Awaitable[Sequence[Condition]]] = _none

    async def load(self) -> None:
        """Know again what was applied last."""
        state, applied = await self._store.load_state()
        self._take(state)
        self._status = ConfigurationStatus(applied_revision=applied.revision, applied_at=applied.at)

    def run_with(self, server: ServerSettings) -> None:
        """Which settings the server runs with, now that it has begun."""
        self.circumstances = replace(self.circumstances, server=server)
        self._begun_with = self.config

    @property
    def status(self) -> ConfigurationStatus:
        return self._status

    @property
    def state(self) -> State:
        """The last good one; empty before the first."""
        return self._state

    @property
    def config(self) -> ConfigSpec:
        return self._state.config

    @property
    def named_secrets(self) -> frozenset[str]:
        """Secrets that the server uses for itself; no job may read them."""
        return self._named

    # --- looking

    async def sync(self) -> ConfigurationStatus:
        """Look now. Mistakes and unreachable repositories are in the status, not raised."""
        status = await self._look()
        self._wanted.set()  # so that the forge is told as well
        return status

    async def follow(self) -> None:
        """Look for ever: at each interval, and when somebody has pushed; tell the forge what became of it."""
        while True:
            self._wanted.clear()
            try:
                status = await self._look()
                if self._reports is not None:
                    await self._reports.report(self.circumstances.repository.url, status)
            except Exception as error:  # noqa: BLE001 - a bug must not end the looking; the next look may go well
                _log.exception("configuration-look-failed", extra={"fields": {"cause": str(error)}})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.circumstances.repository.sync_interval):
                    await self._wanted.wait()

    def pushed(self, repository: str, branch: str) -> bool:
        """Somebody pushed there (a webhook says): whether that is the configuration, which is then looked at at once."""
        own = self.circumstances.repository
        if not same_repository(repository, own.url) or (own.branch and branch and branch != own.branch):
            return False
        self._wanted.set()
        return True

    async def _look(self) -> ConfigurationStatus:
        async with self._lock:
            before = self._status
            self._status = await self._sync(before)
            _report(before, self._status)
            return self._status

    async def _sync(self, before: ConfigurationStatus) -> ConfigurationStatus:
        now = self._clock.now()
        # A state with mistakes is read again, so that their list is whole after a restart as well.
        known = before.seen_revision if before.problem is None else ""
        try:
            files = await self._source.read(known)
        except DanubeError as error:
            return replace(before, checked_at=now, problem=error)
        if files is None:
            return replace(before, checked_at=now)
        seen = replace(before, checked_at=now, seen_revision=files.revision, findings=(), problem=None)
        # A large configuration takes seconds, in which the server must answer others.
        desired, findings = await asyncio.to_thread(read_configuration, files)
        if desired is None:
            return replace(seen, findings=findings)
        changes = await asyncio.to_thread(diff, desired, self._state)
        applied = Applied(files.revision, now)
        try:
            if changes or files.revision != before.applied_revision:
                await self._store.apply_changes(changes, desired, applied)
        except DanubeError as error:
            return replace(seen, seen_revision="", problem=error)
        self._take(desired)
        _log_changes(changes, files.revision)
        self._on_applied()
        return replace(seen, applied_revision=files.revision, applied_at=now)

    def _take(self, state: State) -> None:
        self._state = state
        self._named = frozenset(
            {*(one.key for one in named_secrets(state)), self.circumstances.repository.token_secret} - {""}
        )

    # --- asking

    async def plan(self, files: Mapping[str, bytes]) -> Plan:
        """What applying these files would do, now."""

        def work() -> Plan:
            return plan(self._source.parse(files), self._state)

        return await asyncio.to_thread(work)

    async def conditions(self) -> list[Condition]:
        """What is not as the configuration wants it: secrets that nobody has set yet, settings that wait for a restart."""
        found = [
            Condition(
                "restart-needed" if "restart" in one.hint else "setting-decided-elsewhere",
                f"{one.name} is {one.running}, and config.yaml says {one.configured}",
                one.hint,
            )
            for one in waiting_for_restart(
                self.circumstances.server, self.circumstances.written, self.config.server, self.circumstances.flags
            )
        ]
        found += [
            Condition(
                "restart-needed", f"{one.path} was {one.before} at the start, and is {one.after} now", RESTART_HINT
            )
            for one in changed_fields(self._begun_with or self.config, self.config)
            if one.restart and not one.path.startswith("server.")
        ]
        known = {secret.name.key for secret in await self._secrets.list_secrets(None)}
        places: dict[str, list[str]] = {}
        for one in named_secrets(self._state):
            places.setdefault(one.key, []).append(one.where)
        if token := self.circumstances.repository.token_secret:
            places.setdefault(token, []).append("danube.toml: config_repo.token_secret")
        for key, wheres in places.items():
            if key not in known:
                what = f"the secret {key} is not set, and {wheres[0]} names it"
                found.append(Condition("secret-not-set", what, f"danube secrets set {key}"))
        return [
            *found,
            *(self._reports.conditions if self._reports is not None else ()),
            *await self.further_conditions(),
        ]


async def _none() -> Sequence[Condition]:
    return ()


def _report(before: ConfigurationStatus, after: ConfigurationStatus) -> None:
    """Say what is wrong, once: a mistake that stays is not repeated at every look."""
    if after.problem is not None and str(after.problem) != str(before.problem):
        fields = {"reference": after.problem.reference, "what": str(after.problem), "hint": after.problem.hint}
        _log.error("configuration-unreadable", extra={"fields": fields})
    if after.findings and (after.findings, after.seen_revision) != (before.findings, before.seen_revision):
        if [str(one) for one in after.findings] == [str(one) for one in before.findings]:
            return
        for finding in after.findings:
            fields = {"revision": after.seen_revision, "what": str(finding), "hint": finding.hint}
            _log.error("configuration-invalid", extra={"fields": fields})


def _log_changes(changes: tuple[Change, ...], revision: str) -> None:
    counts = Counter(str(change.action) for change in changes)
    _log.info("configuration-applied", extra={"fields": {"revision": revision, **counts}})
