"""The SQL of sessions. Their secrets are stored as hashes only."""

import json
import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.identity.people import MAX_SESSIONS, BrowserSession


class SqliteSessions:
    """`core.identity.ports.SessionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_session(self, session: BrowserSession, hash_: bytes) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (session.created_at,))
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.id,
                    hash_,
                    session.user_id,
                    session.method,
                    json.dumps(session.groups),
                    session.address,
                    session.user_agent,
                    session.created_at,
                    session.seen_at,
                    session.expires_at,
                    session.issuer,
                ),
            )
            connection.execute(
                "DELETE FROM sessions WHERE user_id = ?1 AND id NOT IN "
                "(SELECT id FROM sessions WHERE user_id = ?1 ORDER BY created_at DESC, rowid DESC LIMIT ?2)",
                (session.user_id, MAX_SESSIONS),
            )

        await self._database.write(work)

    async def session_by_hash(self, hash_: bytes) -> BrowserSession | None:
        rows = self._database.read("SELECT * FROM sessions WHERE secret_hash = ?", hash_)
        return _session(rows[0]) if rows else None

    async def list_sessions(self, user_id: str) -> Sequence[BrowserSession]:
        rows = self._database.read("SELECT * FROM sessions WHERE user_id = ? ORDER BY created_at DESC", user_id)
        return [_session(row) for row in rows]

    async def touch_session(self, session_id: str, at: float) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute("UPDATE sessions SET seen_at = ? WHERE id = ?", (at, session_id)) and None
            )
        )

    async def delete_session(self, user_id: str, session_id: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            return (
                connection.execute("DELETE FROM sessions WHERE user_id = ? AND id = ?", (user_id, session_id)).rowcount
                > 0
            )

        return bool(await self._database.write(work))

    async def delete_sessions(self, user_id: str) -> int:
        def work(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM sessions WHERE user_id = ?", (user_id,)).rowcount

        return int(await self._database.write(work))


def _session(row: sqlite3.Row) -> BrowserSession:
    return BrowserSession(
        id=row["id"],
        user_id=row["user_id"],
        method=row["method"],
        groups=tuple(json.loads(row["groups"])),
        address=row["address"],
        user_agent=row["user_agent"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
        issuer=row["issuer"],
    )
