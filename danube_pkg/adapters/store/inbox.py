"""The SQL of the inbox: entries that may start jobs, each stored once, and the last moments of schedules."""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.adapters.store.heads import (
    SELECT_HEADS,
    forget_heads,
    note_announced,
    note_compared,
    read_heads,
    write_heads,
)
from danube_pkg.core.triggers.heads import Comparison, KnownHead
from danube_pkg.core.triggers.inbox import (
    EntrySource,
    InboxEntry,
    InboxFilter,
    PipelineOutcome,
    Result,
    event_from_json,
    event_to_json,
    names_of_event,
    ref_of,
    repository_of,
)
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.core.triggers.renames import KnownRepository
from danube_pkg.kit.records import to_builtins

_LATEST = 2**62

_UNMATCHED = "NOT EXISTS (SELECT 1 FROM inbox_outcomes WHERE entry = inbox.id)"


class SqliteInbox:
    """`core.triggers.ports.InboxStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, entry: InboxEntry, repositories: Collection[str] = ()) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            connection.execute(
                f"DELETE FROM inbox WHERE source = ? AND key = ? AND settled_at IS NOT NULL AND {_UNMATCHED}",
                (entry.source, entry.key),
            )
            if not write_entry(connection, entry):
                return False
            for repository in repositories:
                note_announced(connection, repository, entry.event)
            return True

        taken: bool = await self._database.write(work)
        return taken

    async def receive_due(self, entry: InboxEntry, schedule: str, pipeline: str, moment: float) -> bool:
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
        return self._with_outcomes(rows)[0] if rows else None

    async def earlier_entries(self, entry: InboxEntry, limit: int) -> Sequence[InboxEntry]:
        ref = ref_of(entry.event)
        if not ref:
            return []
        rows = self._database.read(
            "SELECT inbox.* FROM json_each(?) AS names JOIN inbox ON repository = names.value "
            "WHERE ref = ? AND ref <> '' AND inbox.id < ? AND source IN (?, ?) ORDER BY inbox.id DESC LIMIT ?",
            json.dumps(sorted(names_of_event(entry.event))),
            ref,
            entry.id,
            entry.source,
            EntrySource.COMPARISON,
            limit,
        )
        return self._with_outcomes(rows)

    async def known_heads(self, repository: str) -> Mapping[str, KnownHead]:
        return read_heads(self._database.read(SELECT_HEADS, repository))

    async def record_comparison(
        self,
        repository: str,
        decide: Callable[[Mapping[str, KnownHead], bool], tuple[Comparison, Sequence[InboxEntry]]],
    ) -> Comparison:
        def work(connection: sqlite3.Connection) -> Comparison:
            now = read_heads(connection.execute(SELECT_HEADS, (repository,)).fetchall())
            decided, entries = decide(now, note_compared(connection, repository))
            write_heads(connection, repository, decided, now)
            for entry in entries:
                write_entry(connection, entry)
            return decided

        found: Comparison = await self._database.write(work)
        return found

    async def forget_heads(self, keep: Collection[str]) -> None:
        await self._database.write(lambda connection: forget_heads(connection, keep))

    async def list_entries(self, wanted: InboxFilter) -> Sequence[InboxEntry]:
        sql, values = _list_query(wanted)
        return self._with_outcomes(self._database.read(sql, *values))

    def _with_outcomes(self, rows: Sequence[sqlite3.Row]) -> list[InboxEntry]:
        found: dict[int, list[PipelineOutcome]] = {row["id"]: [] for row in rows}
        for entry, pipeline, result, why, job_id in self._database.read(
            "SELECT entry, pipeline, result, why, job_id FROM json_each(?) CROSS JOIN inbox_outcomes ON entry = value "
            "ORDER BY entry, pipeline",
            json.dumps(list(found)),
        ):
            found[entry].append(PipelineOutcome(pipeline, Result(result), why, job_id))
        return [_entry(row, tuple(found[row["id"]])) for row in rows]

    async def last_due_time(self, pipeline: str, schedule: str) -> float | None:
        rows = self._database.read(
            "SELECT moment FROM cron_moments WHERE pipeline = ? AND schedule = ?", pipeline, schedule
        )
        return rows[0]["moment"] if rows else None

    async def set_last_due_time(self, pipeline: str, schedule: str, moment: float) -> None:
        await self._database.write(lambda connection: _remember(connection, pipeline, schedule, moment))

    async def branch_head(self, repository: str, branch: str) -> str:
        rows = self._database.read(
            "SELECT commit_sha FROM branch_heads WHERE repository = ? AND branch = ?", repository, branch
        )
        return str(rows[0]["commit_sha"]) if rows else ""

    async def set_branch_head(self, repository: str, branch: str, commit_sha: str) -> None:
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO branch_heads VALUES (?, ?, ?) "
                "ON CONFLICT (repository, branch) DO UPDATE SET commit_sha = excluded.commit_sha",
                (repository, branch, commit_sha),
            )
        )

    async def known_repositories(self) -> Sequence[KnownRepository]:
        rows = self._database.read("SELECT * FROM forge_repositories ORDER BY source, host, id")
        return [KnownRepository(**dict(row)) for row in rows]

    async def note_repository(self, repository: KnownRepository) -> None:
        values = to_builtins(repository)
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO forge_repositories (source, host, id, configured, name, url) "
                "VALUES (:source, :host, :id, :configured, :name, :url)",
                values,
            )
        )

    async def forget_settled(self, before: float, unmatched_before: float) -> int:
        sql = f"DELETE FROM inbox WHERE settled_at < ? OR (settled_at < ? AND {_UNMATCHED})"
        count: int = await self._database.write(
            lambda connection: connection.execute(sql, (before, unmatched_before)).rowcount
        )
        return count


def _list_query(wanted: InboxFilter) -> tuple[str, tuple[object, ...]]:
    """A statement and its values: one page of all entries, or the newest of each pipeline's page, by its index."""
    values: list[object] = [wanted.before or _LATEST, wanted.limit]
    conditions = ["id < ?1"]
    for column, value in (("source", wanted.source), ("repository", (wanted.repository or "").lower())):
        if value:
            values.append(value)
            conditions.append(f"{column} = ?{len(values)}")
    filtered = " AND ".join(conditions)
    if wanted.pipelines is None:
        return f"SELECT * FROM inbox WHERE {filtered} ORDER BY id DESC LIMIT ?2", tuple(values)
    values.append(json.dumps(sorted(wanted.pipelines)))
    mine = f"""
        SELECT entry FROM inbox_outcomes CROSS JOIN inbox AS one ON one.id = entry
        WHERE pipeline = names.value AND entry < ?1 AND {filtered} ORDER BY entry DESC LIMIT ?2"""
    return (
        f"SELECT DISTINCT inbox.* FROM json_each(?{len(values)}) AS names CROSS JOIN inbox ON inbox.id IN ({mine}) "
        "ORDER BY inbox.id DESC LIMIT ?2"
    ), tuple(values)


def write_entry(connection: sqlite3.Connection, entry: InboxEntry) -> bool:
    """Insert an entry; False where one with that source and key exists."""
    cursor = connection.execute(
        "INSERT INTO inbox (source, key, event, received_at, repository, ref) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (source, key) DO NOTHING",
        (
            entry.source,
            entry.key,
            event_to_json(entry.event),
            entry.received_at,
            repository_of(entry.event).lower(),
            ref_of(entry.event),
        ),
    )
    return cursor.rowcount == 1


def settle(connection: sqlite3.Connection, settled: Settlement, made: Mapping[str, str]) -> None:
    """Mark an entry as settled. made: the new jobs' ids by pipeline. Idempotent."""
    connection.execute(
        "UPDATE inbox SET settled_at = ?, outcome = ? WHERE id = ?", (settled.at, settled.note, settled.entry.id)
    )
    connection.executemany(
        "INSERT OR REPLACE INTO inbox_outcomes (entry, pipeline, result, why, job_id) VALUES (?, ?, ?, ?, ?)",
        [
            (settled.entry.id, one.pipeline, one.result, one.why, made.get(one.pipeline, one.job_id))
            for one in settled.outcomes
        ],
    )


def _remember(connection: sqlite3.Connection, pipeline: str, schedule: str, moment: float) -> None:
    connection.execute(
        "INSERT INTO cron_moments VALUES (?, ?, ?) ON CONFLICT (pipeline, schedule) DO UPDATE SET moment = excluded.moment",
        (pipeline, schedule, moment),
    )


def _entry(row: sqlite3.Row, outcomes: tuple[PipelineOutcome, ...] = ()) -> InboxEntry:
    return InboxEntry(
        EntrySource(row["source"]),
        row["key"],
        event_from_json(row["event"]),
        row["received_at"],
        id=row["id"],
        note=row["outcome"],
        outcomes=outcomes,
        settled_at=row["settled_at"],
    )
