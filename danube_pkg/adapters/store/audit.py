"""The SQL of the audit log: a table that only grows, each row chained to the one before it in its own transaction."""

import json
import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.identity.audit import (
    FIRST,
    AuditEntry,
    AuditEvent,
    chained,
)


class SqliteAudit:
    """`core.identity.ports.AuditStore`."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key

    async def append(self, event: AuditEvent) -> None:
        await self._database.write(lambda connection: append_entry(connection, self._key, event))

    async def list_entries(
        self, *, actor: str = "", action: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[AuditEntry]:
        conditions = {"actor = ?": actor or None, "action = ?": action or None, "sequence < ?": before}
        given = {condition: value for condition, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(given)}" if given else ""
        rows = self._database.read(
            f"SELECT * FROM audit {where} ORDER BY sequence DESC LIMIT ?", *given.values(), limit
        )
        return [_entry(row) for row in rows]

    async def entries_after(self, sequence: int, limit: int) -> Sequence[AuditEntry]:
        rows = self._database.read("SELECT * FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?", sequence, limit)
        return [_entry(row) for row in rows]

    async def last_sequence(self) -> int:
        rows = self._database.read("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
        return int(rows[0]["seq"]) if rows else 0


def append_entry(connection: sqlite3.Connection, key: bytes, event: AuditEvent) -> None:
    """Append an event within a transaction."""
    last = connection.execute("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
    given = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    sequence = (given["seq"] if given else 0) + 1
    connection.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            sequence,
            event.at,
            event.actor,
            event.action,
            event.target,
            event.outcome,
            event.address,
            event.request_id,
            json.dumps(dict(event.details)),
            chained(key, last["hash"] if last else FIRST, sequence, event),
        ),
    )


def _entry(row: sqlite3.Row) -> AuditEntry:
    event = AuditEvent(
        at=row["at"],
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        outcome=row["outcome"],
        address=row["address"],
        request_id=row["request_id"],
        details=json.loads(row["details"]),
    )
    return AuditEntry(row["sequence"], event, bytes(row["hash"]))
