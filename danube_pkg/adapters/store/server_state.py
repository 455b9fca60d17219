"""The SQL of a server's own state over a restart, such as that it is draining: names with text values."""

import sqlite3
import time

from danube_pkg.adapters.store.database import Database


class SqliteServerState:
    """`core.jobs.ports.ServerState`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall(self, name: str) -> tuple[str, float] | None:
        rows = self._database.read("SELECT value, at FROM server_state WHERE name = ?", name)
        return (rows[0]["value"], rows[0]["at"]) if rows else None

    async def remember(self, name: str, value: str) -> None:
        await self._database.write(lambda connection: put_state(connection, name, value))

    async def forget(self, name: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM server_state WHERE name = ?", (name,)) and None
        )


def put_state(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Store a value within a transaction."""
    connection.execute(
        "INSERT INTO server_state VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at",
        (name, value, time.time()),
    )
