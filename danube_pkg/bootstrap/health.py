"""Builds what decides whether the server is ready."""

from danube_pkg.adapters.disk.probe import DirectoryDisk
from danube_pkg.adapters.store import SqliteServerState
from danube_pkg.bootstrap.store import Store
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health import ConditionSource, ServerReadiness


def build_readiness(store: Store, configuration: ConfigurationSync, dex: ConditionSource | None) -> ServerReadiness:
    """dex: None where there is none."""
    state, disk = SqliteServerState(store.database), DirectoryDisk(store.directory)
    others = [dex] if dex is not None else []
    return ServerReadiness(state, disk, str(store.directory), configuration, store.clock, *others)
