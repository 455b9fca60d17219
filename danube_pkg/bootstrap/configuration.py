"""Builds the configuration sync, and computes the settings with which the server starts."""

from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.store import SqliteConfiguration, SqliteSecrets, SqliteServerState
from danube_pkg.bootstrap.repositories import RepositoryParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import Settings, effective_settings
from danube_pkg.core.repositories.urls import is_remote
from danube_pkg.kit.records import Record
from danube_pkg.services.configuration.commit_status import ConfigurationStatusReporter
from danube_pkg.services.configuration.conditions import (
    MissingSecrets,
    PlannedSettings,
    RestartConditions,
    RunningSettings,
    TriggerConditions,
)
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.jobs.draining import RESTORED


class ConfigurationParts(Record):
    """settings: the effective ones of this start. conditions: what is configured and not effective."""

    sync: ConfigurationSync
    settings: RunningSettings
    conditions: tuple[ConditionSource, ...]


async def open_configuration(
    store: Store,
    applied: AppliedConfiguration,
    repositories: RepositoryParts,
    settings: Settings,
    flags: frozenset[str],
) -> ConfigurationParts:
    """Syncs a local repository before the server starts; a remote one may be unreachable and must not delay the start.

    flags: settings of `[server]` from the command line.
    """
    repository = settings.config_repo
    state = SqliteServerState(store.database)

    async def is_restored() -> bool:
        return await state.recall(RESTORED) is not None

    reporter = ConfigurationStatusReporter(repositories.statuses, is_silent=is_restored)
    sync = ConfigurationSync(
        repository,
        ConfigurationDirectory(repository, repositories.sources),
        SqliteConfiguration(store.database, store.new_id),
        applied,
        store.timing,
        reporter,
    )
    if not is_remote(repository.url):
        await sync.sync()
    server = effective_settings(settings.server, settings.written, applied.config, flags)
    running = RunningSettings(server, settings.written, flags, applied.config)
    missing = MissingSecrets(applied, repository, SqliteSecrets(store.database))
    planned, waiting = PlannedSettings(settings, applied), TriggerConditions(applied)
    return ConfigurationParts(sync, running, (RestartConditions(running, applied), missing, planned, waiting, reporter))
