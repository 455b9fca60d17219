"""The SQL of secrets. All values are encrypted already."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.errors import Conflict
from danube_pkg.core.secrets.secret import SecretName, SecretRead, SecretUse, StoredSecret

_COLUMNS = "pipeline_id, key, value_encrypted, created_at"


class SqliteSecrets:
    """`core.secrets.ports.SecretStore` and `SecretReads`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_secret(self, secret: StoredSecret) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _retire(connection, secret.name, secret.created_at)
            connection.execute(
                "INSERT INTO secrets (id, pipeline_id, key, value_encrypted, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    secret.id,
                    secret.name.pipeline,
                    secret.name.key,
                    secret.value_encrypted,
                    secret.created_at,
                    secret.updated_at,
                ),
            )

        await self._database.write(work)

    async def delete_secret(self, name: SecretName, at: float) -> bool:
        return bool(await self._database.write(lambda connection: _retire(connection, name, at)))

    async def load_secret(self, name: SecretName) -> StoredSecret | None:
        rows = self._database.read("SELECT * FROM secrets WHERE pipeline_id IS ? AND key = ?", name.pipeline, name.key)
        return _secret(rows[0]) if rows else None

    async def list_secrets(self, pipeline: str | None) -> Sequence[StoredSecret]:
        rows = self._database.read("SELECT * FROM secrets WHERE pipeline_id IS ? ORDER BY key", pipeline)
        return [_secret(row) for row in rows]

    async def maskable_secrets(self, pipeline: str) -> Sequence[StoredSecret]:
        rows = self._database.read(
            f"""
            SELECT id, {_COLUMNS}, updated_at, NULL AS retired_at FROM secrets WHERE pipeline_id IS NULL OR pipeline_id = ?
            UNION ALL
            SELECT secret_id, {_COLUMNS}, retired_at, retired_at FROM retired_secrets
            WHERE pipeline_id IS NULL OR pipeline_id = ?
            """,
            pipeline,
            pipeline,
        )
        return [_secret(row) for row in rows]

    async def add_retired(self, secret: StoredSecret) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO retired_secrets (id, secret_id, pipeline_id, key, value_encrypted, created_at, retired_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    secret.id,
                    secret.id,
                    secret.name.pipeline,
                    secret.name.key,
                    secret.value_encrypted,
                    secret.created_at,
                    secret.retired_at,
                ),
            )

        await self._database.write(work)

    async def retired_values(self, name: SecretName, since: float) -> Sequence[StoredSecret]:
        rows = self._database.read(
            f"SELECT secret_id AS id, {_COLUMNS}, retired_at AS updated_at, retired_at FROM retired_secrets"
            " WHERE pipeline_id IS ? AND key = ? AND retired_at >= ?",
            name.pipeline,
            name.key,
            since,
        )
        return [_secret(row) for row in rows]

    async def every_secret(self) -> Sequence[StoredSecret]:
        rows = self._database.read(
            f"""
            SELECT id, {_COLUMNS}, updated_at, NULL AS retired_at FROM secrets
            UNION ALL
            SELECT secret_id, {_COLUMNS}, retired_at, retired_at FROM retired_secrets
            """
        )
        return [_secret(row) for row in rows]

    async def forget_retired_secrets(self, before: float) -> int:
        """Called every minute, so that it reads first and writes only if there is something to delete."""

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM retired_secrets WHERE retired_at < ?", (before,)).rowcount

        if not self._database.read("SELECT 1 FROM retired_secrets WHERE retired_at < ? LIMIT 1", before):
            return 0
        return int(await self._database.write(work))

    async def reads_of(self, job_id: str) -> Sequence[str]:
        rows = self._database.read(
            "SELECT key FROM secret_reads WHERE job_id = ? GROUP BY key ORDER BY min(sequence)", job_id
        )
        return [row["key"] for row in rows]

    async def uses_of(self, job_id: str) -> Sequence[SecretUse]:
        rows = self._database.read("SELECT name, at FROM secret_reads WHERE job_id = ? ORDER BY sequence", job_id)
        return [SecretUse(*row) for row in rows]

    async def last_read(self, name: SecretName) -> SecretRead | None:
        rows = self._database.read(
            "SELECT job_id, pipeline, at FROM secret_reads JOIN jobs ON jobs.id = job_id "
            "WHERE name = ? ORDER BY at DESC LIMIT 1",
            str(name),
        )
        return SecretRead(*rows[0]) if rows else None

    async def record_read(self, job_id: str, sequence: int, name: SecretName, at: float) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            known = connection.execute(
                "SELECT key, name FROM secret_reads WHERE job_id = ? AND sequence = ?", (job_id, sequence)
            ).fetchone()
            if known is not None and known["key"] != name.key:
                raise Conflict(
                    "secret-read-differs",
                    f"call {sequence} read the secret {known['key']!r} and now names {name.key!r}",
                    cause="a call that is repeated must be the same, or a read would be missing in the audit log",
                    hint="use the coordinator of the same release",
                )
            if known is not None and known["name"] == str(name):
                return False
            sql = "INSERT OR REPLACE INTO secret_reads (job_id, sequence, key, at, name) VALUES (?, ?, ?, ?, ?)"
            connection.execute(sql, (job_id, sequence, name.key, at, str(name)))
            return True

        return bool(await self._database.write(work))


def _retire(connection: sqlite3.Connection, name: SecretName, at: float) -> bool:
    """Move a value to the retired ones, which are still masked. Each value keeps its id."""
    connection.execute(
        """
        INSERT INTO retired_secrets (id, secret_id, pipeline_id, key, value_encrypted, created_at, retired_at)
        SELECT id, id, pipeline_id, key, value_encrypted, created_at, ? FROM secrets
        WHERE pipeline_id IS ? AND key = ?
        """,
        (at, name.pipeline, name.key),
    )
    deleted = connection.execute("DELETE FROM secrets WHERE pipeline_id IS ? AND key = ?", (name.pipeline, name.key))
    return deleted.rowcount > 0


def _secret(row: sqlite3.Row) -> StoredSecret:
    return StoredSecret(
        id=row["id"],
        name=SecretName(row["pipeline_id"], row["key"]),
        value_encrypted=row["value_encrypted"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        retired_at=row["retired_at"] if "retired_at" in row.keys() else None,  # noqa: SIM118 - a Row is not a dict
    )
