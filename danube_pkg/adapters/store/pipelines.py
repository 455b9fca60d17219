"""The SQL of pipelines."""

import json
import sqlite3
import time
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.kit.records import decode_json, encode_json


class SqlitePipelines:
    """`core.pipelines.PipelineStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply_pipelines(self, pipelines: Sequence[Pipeline], revision: str) -> None:
        """Write these pipelines and mark all others as removed, in one transaction."""

        def work(connection: sqlite3.Connection) -> None:
            now = time.time()
            for pipeline in pipelines:
                write_pipeline(connection, pipeline, revision, now)
            names = json.dumps([pipeline.name for pipeline in pipelines])
            connection.execute(
                "UPDATE pipelines SET removed_at = ?, updated_at = ? "
                "WHERE removed_at IS NULL AND name NOT IN (SELECT value FROM json_each(?))",
                (now, now, names),
            )

        await self._database.write(work)

    async def load_pipeline(self, name: str) -> Pipeline | None:
        return self._first("SELECT * FROM pipelines WHERE name = ?", name)

    async def pipeline_by_id(self, pipeline_id: str) -> Pipeline | None:
        return self._first("SELECT * FROM pipelines WHERE id = ?", pipeline_id)

    async def list_pipelines(self, *, with_removed: bool = False) -> Sequence[Pipeline]:
        where = "" if with_removed else "WHERE removed_at IS NULL"
        return [_pipeline(row) for row in self._database.read(f"SELECT * FROM pipelines {where} ORDER BY name")]

    def _first(self, sql: str, value: str) -> Pipeline | None:
        rows = self._database.read(sql, value)
        return _pipeline(rows[0]) if rows else None


def write_pipeline(connection: sqlite3.Connection, pipeline: Pipeline, revision: str, now: float) -> None:
    """Insert a pipeline, or update the one with that name, which keeps its id."""
    settings = pipeline.settings
    connection.execute(
        """
        INSERT INTO pipelines (id, name, team, repo_url, branch_filter, cron_schedule, config_path,
            max_duration_seconds, workspace_size_gb, created_at, updated_at, settings, revision, removed_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)
        ON CONFLICT (name) DO UPDATE SET team = excluded.team, repo_url = excluded.repo_url,
            branch_filter = excluded.branch_filter, cron_schedule = excluded.cron_schedule,
            config_path = excluded.config_path, max_duration_seconds = excluded.max_duration_seconds,
            workspace_size_gb = excluded.workspace_size_gb, updated_at = excluded.updated_at,
            settings = excluded.settings, revision = excluded.revision, removed_at = NULL
        """,
        (
            pipeline.id,
            pipeline.name,
            pipeline.team,
            settings.repository,
            json.dumps(pipeline.branch_filter),
            pipeline.cron_schedule,
            settings.script,
            settings.max_duration_seconds,
            settings.workspace_size_gb,
            now,
            now,
            encode_json(settings).decode(),
            revision,
        ),
    )


def _pipeline(row: sqlite3.Row) -> Pipeline:
    return Pipeline(
        id=row["id"],
        name=row["name"],
        team=row["team"],
        settings=decode_json(row["settings"], PipelineSettings),
        branch_filter=tuple(json.loads(row["branch_filter"])),
        cron_schedule=row["cron_schedule"],
        removed=row["removed_at"] is not None,
    )
