"""SQLite: one noun a file. The only place that knows SQL."""

from danube_pkg.adapters.store.access import SqliteAccess
from danube_pkg.adapters.store.artifacts import SqliteArtifacts, SqliteArtifactUses
from danube_pkg.adapters.store.audit import SqliteAudit
from danube_pkg.adapters.store.caches import SqliteCaches, SqliteCacheUses
from danube_pkg.adapters.store.configuration import SqliteConfiguration
from danube_pkg.adapters.store.database import Database
from danube_pkg.adapters.store.idempotency import SqliteIdempotency
from danube_pkg.adapters.store.inbox import SqliteInbox
from danube_pkg.adapters.store.jobs import SqliteJobs
from danube_pkg.adapters.store.managed_hooks import SqliteHooks
from danube_pkg.adapters.store.outbox import SqliteOutbox
from danube_pkg.adapters.store.pipelines import SqlitePipelines
from danube_pkg.adapters.store.provenance import SqliteProvenance
from danube_pkg.adapters.store.pushed_images import SqlitePushedImages
from danube_pkg.adapters.store.reports import SqliteReports
from danube_pkg.adapters.store.retention import SqliteRetention, SqliteSeenManifests
from danube_pkg.adapters.store.secrets import SqliteSecrets
from danube_pkg.adapters.store.server_state import SqliteServerState
from danube_pkg.adapters.store.sessions import SqliteSessions
from danube_pkg.adapters.store.tokens import SqliteTokens

__all__ = [
    "Database",
    "SqliteAccess",
    "SqliteArtifactUses",
    "SqliteArtifacts",
    "SqliteAudit",
    "SqliteCacheUses",
    "SqliteCaches",
    "SqliteConfiguration",
    "SqliteHooks",
    "SqliteIdempotency",
    "SqliteInbox",
    "SqliteJobs",
    "SqliteOutbox",
    "SqlitePipelines",
    "SqliteProvenance",
    "SqlitePushedImages",
    "SqliteReports",
    "SqliteRetention",
    "SqliteSecrets",
    "SqliteSeenManifests",
    "SqliteServerState",
    "SqliteSessions",
    "SqliteTokens",
]
