"""The SQL of idempotency keys."""

import sqlite3

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.identity.idempotency import KEEP_SECONDS, MAX_KEYS, Reservation


class SqliteIdempotency:
    """`core.identity.ports.IdempotencyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, wanted: Reservation) -> Reservation:
        def work(connection: sqlite3.Connection) -> Reservation:
            connection.execute("DELETE FROM idempotency WHERE created_at < ?", (wanted.created_at - KEEP_SECONDS,))
            connection.execute(
                "DELETE FROM idempotency WHERE (actor, key) IN "
                "(SELECT actor, key FROM idempotency ORDER BY created_at DESC LIMIT -1 OFFSET ?)",
                (MAX_KEYS - 1,),
            )
            connection.execute(
                "INSERT OR IGNORE INTO idempotency (actor, key, fingerprint, reserved_id, created_at) VALUES (?, ?, ?, ?, ?)",
                (wanted.actor, wanted.key, wanted.fingerprint, wanted.reserved_id, wanted.created_at),
            )
            row = connection.execute(
                "SELECT * FROM idempotency WHERE actor = ? AND key = ?", (wanted.actor, wanted.key)
            ).fetchone()
            return Reservation(**dict(row))

        found = await self._database.write(work)
        assert isinstance(found, Reservation)
        return found

    async def keep_answer(self, reservation: Reservation, status: int, body: bytes) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute(
                    "UPDATE idempotency SET status = ?, body = ? WHERE actor = ? AND key = ?",
                    (status, body, reservation.actor, reservation.key),
                )
                and None
            )
        )

    async def release(self, reservation: Reservation) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM idempotency WHERE actor = ? AND key = ? AND status IS NULL",
                    (reservation.actor, reservation.key),
                )
                and None
            )
        )
