"""Conditions of an applied configuration that is not effective yet: missing secrets, settings that need a restart."""

from collections.abc import Sequence

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.changes import changed_fields
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.planned import planned_in_file, planned_settings
from danube_pkg.core.configuration.secret_names import named_secrets
from danube_pkg.core.configuration.settings import ConfigRepository, ServerSettings, Settings, pending_settings
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.secrets.ports import SecretStore
from danube_pkg.core.triggers.conditions import trigger_conditions
from danube_pkg.kit.records import Record

MAX_PLANNED = 20
"""Thousands of pipelines may set the same key."""

RESTART_HINT = "restart the server: jobs continue meanwhile"


class RunningSettings(Record):
    """The settings with which this server was started.

    server: the effective settings; written: keys in danube.toml; flags: settings from the command line; config: the
    settings of the configuration repository at the start.
    """

    server: ServerSettings
    written: frozenset[str]
    flags: frozenset[str]
    config: ConfigSpec


class RestartConditions:
    """Settings that were changed since the start and need a restart."""

    def __init__(self, running: RunningSettings, applied: AppliedConfiguration) -> None:
        self._running = running
        self._applied = applied

    async def conditions(self) -> Sequence[Condition]:
        """One for each setting."""
        running, config = self._running, self._applied.config
        found = [
            Condition(
                "restart-needed" if "restart" in one.hint else "setting-decided-elsewhere",
                f"{one.name} is {one.running}, and config.yaml says {one.configured}",
                one.hint,
            )
            for one in pending_settings(running.server, running.written, config.server, running.flags)
        ]
        found += [
            Condition(
                "restart-needed", f"{one.path} was {one.before} at the start, and is {one.after} now", RESTART_HINT
            )
            for one in changed_fields(running.config, config)
            if one.restart and not one.path.startswith("server.")
        ]
        return found


class TriggerConditions:
    """Triggers and commit statuses that the applied configuration asks for and cannot have."""

    def __init__(self, applied: AppliedConfiguration) -> None:
        self._applied = applied

    async def conditions(self) -> Sequence[Condition]:
        """One or none for each repository."""
        return trigger_conditions(self._applied.state)


class PlannedSettings:
    """Settings that have no effect yet. settings: danube.toml."""

    def __init__(self, settings: Settings, applied: AppliedConfiguration) -> None:
        self._settings = settings
        self._applied = applied

    async def conditions(self) -> Sequence[Condition]:
        """One for each setting, at most MAX_PLANNED."""
        found = (*planned_in_file(self._settings), *planned_settings(self._applied.state))
        hint = "remove it, or leave it for a later version: docs/configuration.md names what acts"
        return [Condition("setting-without-effect", str(one), hint) for one in found[:MAX_PLANNED]]


class MissingSecrets:
    """Secrets that the configuration names and that are not set."""

    def __init__(self, applied: AppliedConfiguration, repository: ConfigRepository, secrets: SecretStore) -> None:
        self._applied = applied
        self._repository = repository
        self._secrets = secrets

    async def conditions(self) -> Sequence[Condition]:
        """One for each secret, with the first place that names it."""
        known = {secret.name.key for secret in await self._secrets.list_secrets(None)}
        places: dict[str, list[str]] = {}
        for one in named_secrets(self._applied.state):
            places.setdefault(one.key, []).append(one.where)
        if token := self._repository.token_secret:
            places.setdefault(token, []).append("danube.toml: config_repo.token_secret")
        return [
            Condition(
                "secret-not-set",
                f"the secret {key} is not set, and {wheres[0]} names it",
                f"danube secrets set {key}",
            )
            for key, wheres in places.items()
            if key not in known
        ]
