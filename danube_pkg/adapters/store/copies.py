"""Copies of a database: made while a server writes, checked, and the state in which a restored one starts."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from danube_pkg.core.errors import Permanent
from danube_pkg.kit.files import sync_directory

MAX_PROBLEMS = 5
"""Problems of a damaged database in one message."""

RESTORED = "restored"
"""The row of server_state that a restored database has until `danube resume`."""

_CLOSE_JOBS = """
UPDATE steps SET status = 'failure', phase = 'ended', finished_at = coalesce(finished_at, :now)
    WHERE phase <> 'ended' AND job_id IN (SELECT id FROM jobs WHERE phase NOT IN ('queued', 'closed'));
DELETE FROM effects WHERE done_at IS NULL AND job_id IN (SELECT id FROM jobs WHERE phase NOT IN ('queued', 'closed'));
UPDATE jobs SET status = 'failure', reason = 'infrastructure-lost', outcome = 'failure',
    message = 'it was running when the backup was made, from which this server was restored',
    finished_at = coalesce(finished_at, :now), phase = 'closed', generation = generation + 1
    WHERE phase NOT IN ('queued', 'ended', 'closed');
UPDATE jobs SET phase = 'closed', generation = generation + 1 WHERE phase = 'ended';
INSERT INTO server_state VALUES ('draining', 'danube restore', :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at;
INSERT INTO server_state VALUES ('restored', '', :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at"""


def copy_database(source: Path, target: Path) -> None:
    """Copy a database with SQLite's backup, also while a server writes to it; the target is replaced in one step.

    Raises sqlite3.Error, OSError; the target is then as before.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reading:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with closing(sqlite3.connect(part)) as writing:
                reading.backup(writing)  # all pages in one read transaction, which delays no writer in WAL mode
                writing.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        sync_directory(target.parent)
    finally:
        part.unlink(missing_ok=True)


def check_integrity(path: Path) -> None:
    """Raises Permanent for a damaged database: SQLite's own check, and references to rows that do not exist."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})")]
            problems = [] if found == ["ok"] else found
            references = connection.execute("PRAGMA foreign_key_check").fetchmany(MAX_PROBLEMS)
            problems += [
                f"row {row[1]} of {row[0]} refers to a row of {row[2]} that does not exist" for row in references
            ]
    except sqlite3.Error as error:
        problems = [str(error)]
    if problems:
        raise Permanent(
            "database-corrupt",
            f"{path} is damaged",
            cause="; ".join(problems),
            hint="stop the server, and restore a backup into an empty directory: danube restore FILE --data DIR",
        )


def schema_of(path: Path) -> int:
    """The schema's number; 0 for an empty database. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
            return 0
        return int(connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0])


def stored_value(path: Path, name: str) -> str:
    """A value of server_state; "" where there is none. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT value FROM server_state WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row is not None else ""


def mark_restored(path: Path, now: float) -> int:
    """Let a server that opens this copy start paused: jobs whose pods belong to the original are ended. now: Unix
    seconds. Returns how many jobs that were."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        running = "SELECT count(*) FROM jobs WHERE phase NOT IN ('queued', 'ended', 'closed')"
        count = int(connection.execute(running).fetchone()[0])
        connection.execute("BEGIN IMMEDIATE")
        for statement in _CLOSE_JOBS.split(";"):
            connection.execute(statement, {"now": now} if ":now" in statement else {})
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=DELETE")
    return count
