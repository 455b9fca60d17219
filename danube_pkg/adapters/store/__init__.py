"""SQLite: one noun a file. The only place that knows SQL."""

from danube_pkg.adapters.store.artifacts import SqliteArtifacts
from danube_pkg.adapters.store.configuration import SqliteConfiguration
from danube_pkg.adapters.store.database import Database
from danube_pkg.adapters.store.jobs import SqliteJobs
from danube_pkg.adapters.store.pipelines import SqlitePipelines
from danube_pkg.adapters.store.secrets import SqliteSecrets

__all__ = ["Database", "SqliteArtifacts", "SqliteConfiguration", "SqliteJobs", "SqlitePipelines", "SqliteSecrets"]
