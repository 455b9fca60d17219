"""One SQLite file: one writer thread with group commit, reads inline on a connection that cannot write.

Transactions that wait together are committed together, each in its own savepoint, so that one that fails undoes only
itself. `synchronous=FULL`: what was answered is on disk. Small reads take microseconds and run in the event loop's thread.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.core.errors import Defect, Permanent, StorageFull, Unavailable

GROUP_SIZE = 256
"""Transactions in one commit at most: beyond it the first caller would wait longer than a commit saves."""

WAITING_TRANSACTIONS = 10_000
"""Callers wait beyond it; more can only come from a burst of webhooks, whose senders wait gladly."""

BUSY_MS = 10_000

Work = Callable[[sqlite3.Connection], Any]
_Letter = tuple[Work, "Future[Any]"] | None


class Database:
    """Open with `Database(path)`, end with `await close()`. is_guest: it is a server's, which may be running, so that nothing
    of it may be brought to this program's version. Raises Permanent, Unavailable."""

    def __init__(self, path: Path, *, is_guest: bool = False) -> None:
        self.path = path
        self._writing = _connect(path, read_only=False)
        try:
            if is_guest:
                _check_version(self._writing, path)
            else:
                _migrate(self._writing, path)
        except BaseException:
            self._writing.close()  # with the transaction that it may be in, or the file stays locked
            raise
        self._reading = _connect(path, read_only=True)
        self._letters: queue.Queue[_Letter] = queue.Queue(WAITING_TRANSACTIONS)
        self._closed = False
        self._thread = threading.Thread(target=self._write_for_ever, name="database writer", daemon=True)
        self._thread.start()

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Rows of a small query. Raises Unavailable, Defect."""
        try:
            return self._reading.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def version(self) -> int:
        """Another number after each commit of the writer: a reading connection sees SQLite count them."""
        return int(self._reading.execute("PRAGMA data_version").fetchone()[0])

    async def write(self, work: Work) -> Any:
        """Run `work` in a transaction of its own and return its value once it is on disk."""
        if self._closed:
            raise Unavailable("database-closed", "the server is stopping")
        future: Future[Any] = Future()
        try:
            self._letters.put_nowait((work, future))
        except queue.Full:
            raise Unavailable("database-busy", f"{WAITING_TRANSACTIONS} transactions wait already") from None
        return await asyncio.shield(asyncio.wrap_future(future))

    async def close(self) -> None:
        """What was asked for is committed, then the files are closed."""
        if not self._closed:
            self._closed = True
            self._letters.put(None)
            await asyncio.to_thread(self._thread.join)
            self._reading.close()

    # --- the writer's thread

    def _write_for_ever(self) -> None:
        while (first := self._letters.get()) is not None:
            group, last = [first], False
            while len(group) < GROUP_SIZE:
                try:
                    letter = self._letters.get_nowait()
                except queue.Empty:
                    break
                if letter is None:
                    last = True
                    break
                group.append(letter)
            self._commit(group)
            if last:
                break
        self._writing.close()

    def _commit(self, group: list[tuple[Work, "Future[Any]"]]) -> None:
        """Nobody is answered before the commit: a refusal too may rest on what another one of the group has written."""
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            answers = [self._perform(work) for work, _ in group]
            self._writing.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer goes on and the callers are told
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself already
                self._writing.execute("ROLLBACK")
            failure = self._told(error)
            for _, future in group:
                future.set_exception(failure)
            return
        for (_, future), (value, refusal) in zip(group, answers, strict=True):
            if refusal is not None:
                future.set_exception(refusal)
            else:
                future.set_result(value)

    def _perform(self, work: Work) -> tuple[Any, Exception | None]:
        """The value of a transaction, or why it was undone."""
        value, refusal = None, None
        self._writing.execute("SAVEPOINT one")
        try:
            value = work(self._writing)
        except Exception as error:
            if not self._writing.in_transaction:
                raise  # the whole group is lost: a full disk rolls back everything
            self._writing.execute("ROLLBACK TO one")
            refusal = self._told(error)
        self._writing.execute("RELEASE one")
        return value, refusal

    def _told(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        translated = _translated(error, self.path)
        translated.__cause__ = error
        return translated


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, cached_statements=256)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    if version != len(MIGRATIONS):
        raise Permanent(
            "database-other-version",
            f"{path} has schema {version}, this program reads {len(MIGRATIONS)}",
            hint="use the program that the server is run with",
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Each step and its version row in one transaction."""
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT"
        )
        version = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise Permanent(
                "database-newer",
                f"{path} has schema {version}, this program knows up to {len(MIGRATIONS)}",
                hint="start the newer Danube that wrote it, or restore the backup from before the upgrade",
            )
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(
                f"BEGIN; {step} INSERT INTO schema_version VALUES ({number}, {time.time()}); COMMIT;"
            )
    except sqlite3.Error as error:
        raise _translated(error, path) from error


def _translated(error: sqlite3.Error, path: Path) -> Permanent | Unavailable | StorageFull | Defect:
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_WRITE:  # the latter for a quota
        return StorageFull(
            "database-disk-full",
            f"there is no room for {path}",
            cause=str(error),
            hint=f"free space on the file system of {path.parent}",
        )
    if code == sqlite3.SQLITE_IOERR:
        return Unavailable(
            "database-io-error",
            f"{path} cannot be read or written now",
            cause=str(error),
            hint=f"look for what is wrong with the disk of {path.parent}: journalctl -k",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Permanent(
            "database-corrupt",
            f"{path} is not a usable database",
            cause=str(error),
            hint="stop the server, put a backup of the data directory in its place, and start it",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("database-locked", f"{path} is locked by another program", cause=str(error))
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return Permanent(
            "database-unreadable",
            f"{path} cannot be opened for writing",
            cause=str(error),
            hint=f"check owner and mode of {path.parent}",
        )
    return Defect("database-error", f"the database refused a statement: {error}")
