"""The SQL of caches and of their uses."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.caches.cache import CacheEntry, CacheScope, CacheUse

MOST_FOUND = 100

_WITHHELD = """
SELECT EXISTS (SELECT 1 FROM withheld_jobs WHERE job_id = ?1) OR EXISTS (SELECT 1 FROM secret_reads WHERE job_id = ?1)
    OR EXISTS (SELECT 1 FROM cache_uses WHERE job_id = ?1 AND after_secret = 1) AS found"""


class SqliteCaches:
    """`core.caches.ports.CacheStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_entry(self, family: str, scope: CacheScope, key: str) -> CacheEntry | None:
        rows = self._database.read(
            "SELECT * FROM caches WHERE family = ? AND ref = ? AND trusted = ? AND key = ?",
            family,
            scope.ref,
            scope.trusted,
            key,
        )
        return _entry(rows[0]) if rows else None

    async def find_entries(self, family: str, scope: CacheScope, beginning: str) -> Sequence[CacheEntry]:
        rows = self._database.read(
            "SELECT * FROM caches WHERE family = ? AND ref = ? AND trusted = ? AND substr(key, 1, ?) = ?"
            " ORDER BY created_at DESC, id DESC LIMIT ?",
            family,
            scope.ref,
            scope.trusted,
            len(beginning),
            beginning,
            MOST_FOUND,
        )
        return [_entry(row) for row in rows]

    async def list_entries(self, pipeline: str | None = None) -> Sequence[CacheEntry]:
        if pipeline is None:
            return [_entry(row) for row in self._database.read("SELECT * FROM caches ORDER BY used_at, id")]
        rows = self._database.read("SELECT * FROM caches WHERE pipeline = ? ORDER BY used_at, id", pipeline)
        return [_entry(row) for row in rows]

    async def add_entry(self, entry: CacheEntry) -> bool:
        values = (
            entry.id, entry.pipeline, entry.family, entry.name, entry.key, entry.scope.ref, entry.scope.trusted,
            entry.after_secret, entry.image, entry.sha256, entry.size_bytes, entry.job_id, entry.created_at,
            entry.used_at, entry.hits, entry.step,
        )  # fmt: skip
        sql = f"INSERT INTO caches VALUES ({', '.join('?' * len(values))}) ON CONFLICT (family, ref, trusted, key) DO NOTHING"
        return bool(await self._database.write(lambda connection: connection.execute(sql, values).rowcount))

    async def remove_entries(self, ids: Sequence[str]) -> None:
        rows = [(one,) for one in ids]
        await self._database.write(
            lambda connection: connection.executemany("DELETE FROM caches WHERE id = ?", rows) and None
        )

    async def count_hit(self, entry_id: str, at: float) -> None:
        sql = "UPDATE caches SET hits = hits + 1, used_at = max(used_at, ?) WHERE id = ?"
        await self._database.write(lambda connection: connection.execute(sql, (at, entry_id)) and None)

    async def has_content(self, sha256: str) -> bool:
        return bool(self._database.read("SELECT 1 FROM caches WHERE sha256 = ? LIMIT 1", sha256))


class SqliteCacheUses:
    """`core.caches.ports.CacheUses`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_use(self, use: CacheUse) -> None:
        values = (
            use.job_id, use.sequence, use.name, use.key, use.sha256, use.size_bytes, use.source_job, use.ref, use.exact,
            use.after_secret, use.at, use.step,
        )  # fmt: skip
        sql = f"INSERT OR REPLACE INTO cache_uses VALUES ({', '.join('?' * len(values))})"
        await self._database.write(lambda connection: connection.execute(sql, values) and None)

    async def remove_use(self, job_id: str, step: int) -> None:
        sql = "DELETE FROM cache_uses WHERE job_id = ? AND step = ? AND step > 0"
        await self._database.write(lambda connection: connection.execute(sql, (job_id, step)) and None)

    async def list_uses(self, job_id: str) -> Sequence[CacheUse]:
        rows = self._database.read("SELECT * FROM cache_uses WHERE job_id = ? ORDER BY sequence, step", job_id)
        return [_use(row) for row in rows]

    async def withhold(self, job_id: str) -> None:
        sql = "INSERT INTO withheld_jobs VALUES (?) ON CONFLICT DO NOTHING"
        await self._database.write(lambda connection: connection.execute(sql, (job_id,)) and None)

    async def is_withheld(self, job_id: str) -> bool:
        return bool(self._database.read(_WITHHELD, job_id)[0]["found"])


def _entry(row: sqlite3.Row) -> CacheEntry:
    return CacheEntry(
        id=row["id"],
        pipeline=row["pipeline"],
        family=row["family"],
        name=row["name"],
        key=row["key"],
        scope=CacheScope(row["ref"], bool(row["trusted"])),
        after_secret=bool(row["after_secret"]),
        image=row["image"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        job_id=row["job_id"],
        created_at=row["created_at"],
        used_at=row["used_at"],
        hits=row["hits"],
        step=row["step"],
    )


def _use(row: sqlite3.Row) -> CacheUse:
    return CacheUse(
        job_id=row["job_id"],
        sequence=row["sequence"],
        name=row["name"],
        key=row["key"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        source_job=row["source_job"],
        ref=row["ref"],
        exact=bool(row["exact"]),
        after_secret=bool(row["after_secret"]),
        at=row["at"],
        step=row["step"],
    )
