"""The SQL of the outbox: notifications and commit statuses, stored with the change of their job, read for delivery."""

import json
import sqlite3
from collections.abc import Collection, Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.adapters.store.inbox import write_entry
from danube_pkg.core.notifications.outbox import LONGEST_PAUSE_SECONDS, JobNotification, OutboxEntry, OutboxKind
from danube_pkg.core.notifications.rules import FollowUp
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import decode_json, encode_json

_FIRST_OF_EACH = """
SELECT * FROM outbox WHERE id IN (SELECT min(id) FROM outbox WHERE done_at IS NULL GROUP BY target)
AND (next_at <= ? OR next_at > ?) AND channel NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?
"""

_NEWEST_OF_EACH_REF = """
SELECT * FROM outbox WHERE id IN (
    SELECT last FROM (
        SELECT last, max(job) FROM (
            SELECT json_extract(notification, '$.ref') AS ref, json_extract(notification, '$.job_id') AS job,
                   max(id) AS last
            FROM outbox WHERE target = ? GROUP BY ref, job)
        GROUP BY ref))
ORDER BY id
"""
"""The last entry of the newest job of each ref: an older job may end later. A skip has no job (""), and counts where
there is none. SQLite takes `last` from the row with the maximum."""


_END_BEFORE = """
WITH own AS (SELECT json_extract("trigger", '$.revision.branch') AS branch,
                    json_extract("trigger", '$.revision.tag') AS tag FROM jobs WHERE id = ?)
SELECT jobs.status FROM own, jobs WHERE jobs.pipeline = ?
  AND jobs.trigger_ref IN (?, 'HEAD', own.branch, own.tag, 'refs/heads/' || own.branch, 'refs/tags/' || own.tag)
  AND json_extract(jobs."trigger", '$.revision.branch') IS own.branch
  AND json_extract(jobs."trigger", '$.revision.tag') IS own.tag
  AND jobs.id < ? AND jobs.status IN ('success', 'failure', 'timeout')
ORDER BY jobs.id DESC LIMIT 1
"""
"""A push names its branch by the full ref, a manual start by any name, a schedule by none: they are one branch."""


class SqliteOutbox:
    """`core.notifications.ports.OutboxStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due_entries(self, now: float, limit: int, without: Collection[str] = ()) -> Sequence[OutboxEntry]:
        rows = self._database.read(_FIRST_OF_EACH, now, now + LONGEST_PAUSE_SECONDS, json.dumps(list(without)), limit)
        return [_entry(row) for row in rows]

    async def next_due(self, after: float) -> float | None:
        rows = self._database.read(
            "SELECT min(next_at) AS at FROM outbox "
            "WHERE id IN (SELECT min(id) FROM outbox WHERE done_at IS NULL GROUP BY target) AND next_at > ?",
            after,
        )
        at: float | None = rows[0]["at"]
        return at

    async def newest_entry(self, target: str) -> OutboxEntry | None:
        rows = self._database.read(
            "SELECT * FROM outbox WHERE target = ? AND done_at IS NULL ORDER BY id DESC LIMIT 1", target
        )
        return _entry(rows[0]) if rows else None

    async def newest_of_each_ref(self, target: str) -> Sequence[OutboxEntry]:
        rows = self._database.read(_NEWEST_OF_EACH_REF, target)
        return [_entry(row) for row in rows]

    async def close_entry(self, entry: OutboxEntry, outcome: str, at: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE outbox SET done_at = ?, outcome = ? WHERE id = ?", (at, outcome, entry.id))

        await self._database.write(work)

    async def postpone(self, entry: OutboxEntry, next_at: float, problem: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, next_at = ?, problem = ? WHERE id = ?",
                (next_at, problem, entry.id),
            )

        await self._database.write(work)

    async def end_before(self, pipeline: str, ref: str, job_id: str) -> Status | None:
        rows = self._database.read(_END_BEFORE, job_id, pipeline, ref, job_id)
        return Status(rows[0]["status"]) if rows else None

    async def forget_delivered(self, before: float) -> int:
        count: int = await self._database.write(
            lambda connection: connection.execute("DELETE FROM outbox WHERE done_at < ?", (before,)).rowcount
        )
        return count


def write_follow_up(connection: sqlite3.Connection, follow_up: FollowUp, without_jobs: Collection[str] = ()) -> None:
    """Store a follow-up. without_jobs: ids of jobs that were not created, whose entries are left out."""
    for entry in follow_up.inbox:
        write_entry(connection, entry)
    for one in follow_up.outbox:
        if not one.notification.job_id or one.notification.job_id not in without_jobs:
            _write(connection, one)


def _write(connection: sqlite3.Connection, entry: OutboxEntry) -> None:
    """Idempotent: a commit that seemed to have failed may have succeeded, and is repeated."""
    connection.execute(
        "INSERT INTO outbox (kind, target, channel, notification, address, only_after_failure, created_at, next_at, key) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (
            entry.kind,
            entry.target,
            entry.channel,
            encode_json(entry.notification).decode(),
            encode_json(entry.address).decode(),
            int(entry.only_after_failure),
            entry.created_at,
            entry.next_at,
            _key(entry),
        ),
    )


def _key(entry: OutboxEntry) -> str:
    one = entry.notification
    approval = f" {one.approval}" if one.approval else ""
    return f"{entry.target} {one.job_id or one.ref} {one.status} {one.reason}{approval}"


def _entry(row: sqlite3.Row) -> OutboxEntry:
    return OutboxEntry(
        OutboxKind(row["kind"]),
        row["target"],
        row["channel"],
        decode_json(row["notification"], JobNotification),
        row["created_at"],
        json.loads(row["address"]),
        bool(row["only_after_failure"]),
        id=row["id"],
        attempts=row["attempts"],
        next_at=row["next_at"],
        problem=row["problem"],
    )
