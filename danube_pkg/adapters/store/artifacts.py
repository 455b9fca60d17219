"""The SQL of artifacts' records."""

import json
import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.artifact_downloads import ArtifactUse
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.errors import Conflict


class SqliteArtifacts:
    """`core.artifacts.ports.ArtifactStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_artifact(self, artifact: Artifact) -> None:
        def work(connection: sqlite3.Connection) -> None:
            known = connection.execute(
                "SELECT sha256, describes FROM artifacts WHERE job_id = ? AND name = ?",
                (artifact.job_id, artifact.name),
            ).fetchone()
            if known is not None and known["sha256"] != artifact.sha256:
                raise Conflict(
                    "artifact-exists",
                    f"this job already has an artifact {artifact.name!r} with other content",
                    hint="give each artifacts.upload() of a job its own name=",
                )
            if known is not None and known["describes"] != artifact.describes:
                raise Conflict(
                    "artifact-exists",
                    f"this job already has an artifact {artifact.name!r}, and not as the SBOM of the same subject",
                    hint="give each artifacts.upload() of a job its own name=",
                )
            if known is None:
                connection.execute(
                    "INSERT INTO artifacts (id, job_id, name, path, size_bytes, created_at, sha256, describes)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        artifact.id,
                        artifact.job_id,
                        artifact.name,
                        artifact.file_name,
                        artifact.size_bytes,
                        artifact.created_at,
                        artifact.sha256,
                        artifact.describes,
                    ),
                )

        await self._database.write(work)

    async def list_artifacts(self, job_id: str) -> Sequence[Artifact]:
        return [
            _artifact(row)
            for row in self._database.read("SELECT * FROM artifacts WHERE job_id = ? ORDER BY id", job_id)
        ]

    async def jobs_with(self, name: str, job_ids: Sequence[str]) -> frozenset[str]:
        sql = "SELECT job_id FROM artifacts WHERE name = ? AND job_id IN (SELECT value FROM json_each(?))"
        return frozenset(row["job_id"] for row in self._database.read(sql, name, json.dumps(list(job_ids))))

    async def load_artifact(self, job_id: str, name: str) -> Artifact | None:
        rows = self._database.read("SELECT * FROM artifacts WHERE job_id = ? AND name = ?", job_id, name)
        return _artifact(rows[0]) if rows else None


class SqliteArtifactUses:
    """`core.artifact_downloads.ArtifactUses`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_use(self, use: ArtifactUse) -> None:
        values = (
            use.job_id, use.sequence, use.name, use.file_name, use.sha256, use.size_bytes, use.source_job, use.pipeline,
            use.ref, use.trusted, use.at,
        )  # fmt: skip
        sql = f"INSERT OR REPLACE INTO artifact_uses VALUES ({', '.join('?' * len(values))})"
        await self._database.write(lambda connection: connection.execute(sql, values) and None)

    async def list_uses(self, job_id: str) -> Sequence[ArtifactUse]:
        rows = self._database.read("SELECT * FROM artifact_uses WHERE job_id = ? ORDER BY sequence", job_id)
        return [
            ArtifactUse(
                job_id=row["job_id"],
                sequence=row["sequence"],
                name=row["name"],
                file_name=row["file_name"],
                sha256=row["sha256"],
                size_bytes=row["size_bytes"],
                source_job=row["source_job"],
                pipeline=row["pipeline"],
                ref=row["ref"],
                trusted=bool(row["trusted"]),
                at=row["at"],
            )
            for row in rows
        ]


def _artifact(row: sqlite3.Row) -> Artifact:
    return Artifact(
        row["id"],
        row["job_id"],
        row["name"],
        row["path"],
        row["size_bytes"],
        row["sha256"],
        row["created_at"],
        row["describes"],
    )
