"""The SQL of heads: what was announced of each repository's branches and tags."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping

from danube_pkg.core.triggers.heads import Comparison, KnownHead, announce
from danube_pkg.core.triggers.inbox import InboxEvent, ref_of
from danube_pkg.core.triggers.webhooks.events import BranchDeleted, Push, TagDeleted, TagPush

SELECT_HEADS = "SELECT ref, hashes, change FROM heads WHERE repository = ?"

_SET = (
    "INSERT INTO heads VALUES (?, ?, ?, ?) "
    "ON CONFLICT (repository, ref) DO UPDATE SET hashes = excluded.hashes, change = excluded.change"
)


def read_heads(rows: Iterable[sqlite3.Row]) -> dict[str, KnownHead]:
    """The rows of `SELECT_HEADS` by ref."""
    return {ref: KnownHead(tuple(json.loads(hashes)), change) for ref, hashes, change in rows}


def note_announced(connection: sqlite3.Connection, repository: str, event: InboxEvent) -> None:
    """Record the head that a delivery announced; other events change nothing."""
    if not isinstance(event, Push | TagPush | BranchDeleted | TagDeleted):
        return
    ref = ref_of(event)
    found = read_heads(connection.execute(f"{SELECT_HEADS} AND ref = ?", (repository, ref)))
    known = found.get(ref, KnownHead(()))
    connection.execute(_SET, (repository, ref, json.dumps(announce(known.hashes, event)), known.change + 1))


def note_compared(connection: sqlite3.Connection, repository: str) -> bool:
    """Record that a repository is compared; whether this is the first time."""
    sql = "INSERT OR IGNORE INTO compared_repositories VALUES (?)"
    return connection.execute(sql, (repository,)).rowcount == 1


def write_heads(
    connection: sqlite3.Connection, repository: str, decided: Comparison, now: Mapping[str, KnownHead]
) -> None:
    """Record the heads that a comparison found. now: what was known before it."""
    connection.executemany(
        _SET,
        [
            (repository, ref, json.dumps(hashes), now[ref].change if ref in now else 0)
            for ref, hashes in decided.known.items()
        ],
    )
    connection.executemany(
        "DELETE FROM heads WHERE repository = ? AND ref = ?", [(repository, ref) for ref in decided.gone]
    )


def forget_heads(connection: sqlite3.Connection, keep: Collection[str]) -> None:
    """Delete what is known of all repositories but these."""
    kept = json.dumps(sorted(keep))
    for table in ("heads", "compared_repositories"):
        connection.execute(f"DELETE FROM {table} WHERE repository NOT IN (SELECT value FROM json_each(?))", (kept,))
