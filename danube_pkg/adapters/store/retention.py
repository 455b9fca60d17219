"""The SQL of retention: which jobs are kept, and whose files were removed."""

import asyncio
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.retention.plan import FileKind, JobAge, Removal, ended_at
from danube_pkg.core.retention.ports import JobRetention
from danube_pkg.kit.ids import time_of

VALUES = 500
"""Job ids in one query: it takes about a millisecond, so that reads of others are not delayed."""

_REMOVABLE = "SELECT 1 FROM jobs WHERE id = ?1 AND phase = 'closed' AND id NOT IN (SELECT job_id FROM kept_jobs)"

_NEWEST = """
SELECT max(coalesce((SELECT max(at) FROM audit), 0), coalesce((SELECT max(received_at) FROM inbox), 0),
           coalesce((SELECT max(applied_at) FROM configuration), 0)) AS at,
       (SELECT max(id) FROM jobs) AS job_id"""


class SqliteRetention:
    """`core.retention.ports.RetentionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def job_ages(self, job_ids: Collection[str]) -> Mapping[str, JobAge]:
        found = {}
        for part in _parts(sorted(set(job_ids))):
            marks = ", ".join("?" * len(part))
            kept = self._database.read(f"SELECT job_id FROM kept_jobs WHERE job_id IN ({marks})", *part)
            removed = self._database.read(f"SELECT job_id, kind FROM removed_files WHERE job_id IN ({marks})", *part)
            kinds: dict[str, set[FileKind]] = {}
            for row in removed:
                kinds.setdefault(row["job_id"], set()).add(FileKind(row["kind"]))
            are_kept = {row["job_id"] for row in kept}
            for row in self._database.read(
                f"SELECT id, pipeline, phase, finished_at FROM jobs WHERE id IN ({marks})", *part
            ):
                job_id = row["id"]
                end = ended_at(row["finished_at"], time_of(job_id), is_closed=row["phase"] == "closed")
                gone = frozenset(kinds.get(job_id, ()))
                found[job_id] = JobAge(job_id, row["pipeline"], end, job_id in are_kept, gone)
            await asyncio.sleep(0)  # a server with many jobs has many parts, and other tasks run between them
        return found

    async def record_removals(self, removals: Sequence[Removal], at: float) -> Sequence[Removal]:
        def work(connection: sqlite3.Connection) -> list[Removal]:
            allowed = [one for one in removals if connection.execute(_REMOVABLE, (one.job_id,)).fetchone()]
            connection.executemany(
                "INSERT INTO removed_files VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(one.job_id, one.kind, at, one.size_bytes) for one in allowed],
            )
            # What a closed job had to do is of use as long as its log only.
            connection.executemany(
                "DELETE FROM effects WHERE job_id = ? AND done_at IS NOT NULL",
                [(one.job_id,) for one in allowed if one.kind is FileKind.LOGS],
            )
            return allowed

        recorded: Sequence[Removal] = await self._database.write(work)
        return recorded

    async def keep(self, job_id: str, by: str, at: float) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute("INSERT INTO kept_jobs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (job_id, by, at))
                and None
            )
        )

    async def unkeep(self, job_id: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM kept_jobs WHERE job_id = ?", (job_id,)) and None
        )

    async def retention_of(self, job_id: str) -> JobRetention:
        kept = self._database.read("SELECT kept_by FROM kept_jobs WHERE job_id = ?", job_id)
        removed = self._database.read("SELECT kind, removed_at FROM removed_files WHERE job_id = ?", job_id)
        times = {FileKind(row["kind"]): row["removed_at"] for row in removed}
        return JobRetention(kept[0]["kept_by"] if kept else "", times)

    async def newest_time(self) -> float:
        row = self._database.read(_NEWEST)[0]
        return max(float(row["at"]), time_of(row["job_id"] or ""))


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), VALUES):
        yield ids[begin : begin + VALUES]


class SqliteSeenManifests:
    """`core.retention.ports.SeenManifests`. registry: its host."""

    def __init__(self, database: Database, registry: str) -> None:
        self._database = database
        self._registry = registry

    async def see(self, repository: str, digests: Collection[str], at: float) -> Mapping[str, float]:
        rows = [(self._registry, repository, digest, at) for digest in digests]
        await self._database.write(
            lambda connection: (
                connection.executemany(
                    "INSERT INTO registry_manifests VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
                )
                and None
            )
        )
        query = "SELECT digest, seen_at FROM registry_manifests WHERE registry = ? AND repository = ?"
        return {row["digest"]: row["seen_at"] for row in self._database.read(query, self._registry, repository)}

    async def forget(self, repository: str, digest: str) -> None:
        key = (self._registry, repository, digest)
        sql = "DELETE FROM registry_manifests WHERE registry = ? AND repository = ? AND digest = ?"
        await self._database.write(lambda connection: connection.execute(sql, key) and None)
