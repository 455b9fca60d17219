"""Opens the removal of old files."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from danube_pkg.adapters.retention.files import JobFileDirectories
from danube_pkg.adapters.store import SqliteRetention, SqliteServerState
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.retention.plan import RetentionPolicy
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.retention import Retention

_log = logging.getLogger("danube.retention")


def build_retention(store: Store, applied: AppliedConfiguration, audit: Audit) -> Retention:
    """Nothing is removed yet."""

    def policy() -> RetentionPolicy:
        return applied.config.retention.policy

    def interval() -> float:
        return float(applied.config.retention.removal_interval)

    state, rows = SqliteServerState(store.database), SqliteRetention(store.database)
    return Retention(rows, JobFileDirectories(store.directory), state, audit, store.timing, policy, interval)


@asynccontextmanager
async def open_retention(store: Store, applied: AppliedConfiguration, audit: Audit) -> AsyncIterator[Retention]:
    """Removes files until the block is left."""
    retention = build_retention(store, applied, audit)
    owner = TaskOwner(logged(_log))
    owner.start("retention", retention.run())
    try:
        yield retention
    finally:
        await owner.close()
