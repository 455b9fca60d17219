"""The SQL of the inbox: what may start jobs, each entry once, and the last moments of schedules."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.inbox import InboxEntry, Source, event_from_json, event_to_json
from danube_pkg.core.trigger_ports import Settled


class SqliteInbox:
    """`core.trigger_ports.InboxStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, entry: InboxEntry) -> bool:
        taken: bool = await self._database.write(lambda connection: write_entry(connection, entry))
        return taken

    async def receive_moment(self, entry: InboxEntry, schedule: str, pipeline: str, moment: float) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            _remember(connection, pipeline, schedule, moment)
            return write_entry(connection, entry)

        taken: bool = await self._database.write(work)
        return taken

    async def open_entries(self, after: int, limit: int) -> Sequence[InboxEntry]:
        rows = self._database.read(
            "SELECT * FROM inbox WHERE settled_at IS NULL AND id > ? ORDER BY id LIMIT ?", after, limit
        )
        return [_entry(row) for row in rows]

    async def entry(self, source: str, key: str) -> InboxEntry | None:
        rows = self._database.read("SELECT * FROM inbox WHERE source = ? AND key = ?", source, key)
        return _entry(rows[0]) if rows else None

    async def last_moment(self, pipeline: str, schedule: str) -> float | None:
        rows = self._database.read(
            "SELECT moment FROM cron_moments WHERE pipeline = ? AND schedule = ?", pipeline, schedule
        )
        return rows[0]["moment"] if rows else None

    async def remember_moment(self, pipeline: str, schedule: str, moment: float) -> None:
        await self._database.write(lambda connection: _remember(connection, pipeline, schedule, moment))

    async def forget_settled(self, before: float) -> int:
        count: int = await self._database.write(
            lambda connection: connection.execute("DELETE FROM inbox WHERE settled_at < ?", (before,)).rowcount
        )
        return count


def write_entry(connection: sqlite3.Connection, entry: InboxEntry) -> bool:
    """A new row, unless source and key are known; then False."""
    done = connection.execute(
        "INSERT INTO inbox (source, key, event, received_at) VALUES (?, ?, ?, ?) ON CONFLICT (source, key) DO NOTHING",
        (entry.source, entry.key, event_to_json(entry.event), entry.received_at),
    )
    return done.rowcount == 1


def settle(connection: sqlite3.Connection, settled: Settled) -> None:
    """The entry is dealt with."""
    connection.execute(
        "UPDATE inbox SET settled_at = ?, outcome = ? WHERE id = ?", (settled.at, settled.outcome, settled.entry.id)
    )


def _remember(connection: sqlite3.Connection, pipeline: str, schedule: str, moment: float) -> None:
    connection.execute(
        "INSERT INTO cron_moments VALUES (?, ?, ?) ON CONFLICT (pipeline, schedule) DO UPDATE SET moment = excluded.moment",
        (pipeline, schedule, moment),
    )


def _entry(row: sqlite3.Row) -> InboxEntry:
    return InboxEntry(
        Source(row["source"]),
        row["key"],
        event_from_json(row["event"]),
        row["received_at"],
        id=row["id"],
        outcome=row["outcome"],
    )
