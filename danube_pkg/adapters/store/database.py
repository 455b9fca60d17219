"""One SQLite file: one writer thread with group commit, reads inline on a connection that cannot write.

Transactions that wait at the same time are committed together, each in its own savepoint, so that one that fails is
rolled back alone. With `synchronous=FULL`, what was answered is on disk. Small reads take microseconds and run in the
event loop.
"""

import asyncio
import contextlib
import errno
import os
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from danube_pkg.adapters.store.copies import copy_database
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.core.errors import Defect, Permanent, StorageUnwritable, Unavailable
from danube_pkg.core.storage_errors import failing, is_read_only, storage_error
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.tallies import Tally

GROUP_SIZE = 256
"""Most transactions in one commit: with more, the first caller would wait longer than a commit saves."""

WAITING_TRANSACTIONS = 10_000
"""Most transactions that wait; more are refused. Only a burst of webhooks, which are sent again, comes near it."""

BUSY_MS = 10_000

CACHE_KIB = 2048
"""Pages of the database in memory, of each connection: those of the indexes. The others are in the system's cache."""

_log = EventLog("danube.store")

Work = Callable[[sqlite3.Connection], Any]
_Transaction = tuple[Work, "Future[Any]"]


class Database:
    """Open with `Database(path)`, close with `await close()`. Raises Permanent, Unavailable.

    is_guest: the file belongs to a server, which may be running, so that its schema must not be migrated.
    """

    def __init__(self, path: Path, *, is_guest: bool = False) -> None:
        self.path = path
        self._writing = _connect(path, read_only=False)
        try:
            if is_guest:
                _check_version(self._writing, path)
            else:
                _migrate(self._writing, path)
        except BaseException:
            self._writing.close()  # rolls back an open transaction, which would keep the file locked
            raise
        self._reading = _connect(path, read_only=True)
        self._waiting: queue.Queue[_Transaction | None] = queue.Queue(WAITING_TRANSACTIONS)
        """None is the last entry, put by `close`."""
        self._closed = False
        self.queries = Tally()
        """Queries and transactions, by `read` and `write`."""
        self._thread = threading.Thread(target=self._run_writer, name="database writer", daemon=True)
        self._thread.start()

    @staticmethod
    def migrate(path: Path) -> int:
        """Bring the schema of a file that no server uses up to date; a copy of an older one is made first, and named
        by its schema. Returns the schema that it had. Raises Permanent, StorageUnwritable."""
        connection = _connect(path, read_only=False)
        try:
            return _migrate(connection, path)
        finally:
            connection.close()

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Rows of a small query. Raises Unavailable, Defect."""
        self.queries.count("read")
        try:
            return self._reading.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def version(self) -> int:
        """A number that changes with each commit of the writer: SQLite counts the commits of other connections."""
        return int(self._reading.execute("PRAGMA data_version").fetchone()[0])

    async def write(self, work: Work) -> Any:
        """Run `work` in a transaction of its own and return its value once it is on disk."""
        if self._closed:
            raise Unavailable("database-closed", "the server is stopping")
        self.queries.count("write")
        future: Future[Any] = Future()
        try:
            self._waiting.put_nowait((work, future))
        except queue.Full:
            raise Unavailable("database-busy", f"{WAITING_TRANSACTIONS} transactions are already waiting") from None
        return await asyncio.shield(asyncio.wrap_future(future))

    def log_bytes(self) -> int:
        """The size of the write-ahead log. It grows while a reader keeps an old state, or after a great transaction."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    async def checkpoint(self) -> bool:
        """Copy the write-ahead log into the database and cut it to nothing, beside the writer. Returns whether that was
        possible: a reader may keep it. Raises as `write`."""
        return await asyncio.to_thread(_checkpoint, self.path)

    async def close(self) -> None:
        """Commit the waiting transactions, then close the files."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)
            self._reading.close()

    # --- the writer's thread

    def _run_writer(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, last = [first], False
            while len(group) < GROUP_SIZE:
                try:
                    transaction = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if transaction is None:
                    last = True
                    break
                group.append(transaction)
            self._commit(group)
            if last:
                break
        self._writing.close()

    def _commit(self, group: list[_Transaction]) -> None:
        """Callers get results and errors after the commit: an error may depend on another transaction of the group."""
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            answers = [self._perform(work) for work, _ in group]
            self._writing.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the writer continues, and all callers get the error
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._writing.execute("ROLLBACK")
            failure = self._own_error(error)
            for _, future in group:
                future.set_exception(failure)
            return
        for (_, future), (value, failed) in zip(group, answers, strict=True):
            if failed is not None:
                future.set_exception(failed)
            else:
                future.set_result(value)

    def _perform(self, work: Work) -> tuple[Any, Exception | None]:
        """The value of a transaction, or the error for which it was rolled back."""
        value, failed = None, None
        self._writing.execute("SAVEPOINT one")
        try:
            value = work(self._writing)
        except Exception as error:
            if not self._writing.in_transaction:
                raise  # a full disk, for example, rolls back the whole group
            self._writing.execute("ROLLBACK TO one")
            failed = self._own_error(error)
        self._writing.execute("RELEASE one")
        return value, failed

    def _own_error(self, error: Exception) -> Exception:
        """The error that the caller gets: SQLite's are translated."""
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
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    return connection


def _checkpoint(path: Path) -> bool:
    connection = _connect(path, read_only=False)
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    finally:
        connection.close()
    return not busy


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    if version != len(MIGRATIONS):
        raise Permanent(
            "database-other-version",
            f"{path} has schema {version}, this program reads {len(MIGRATIONS)}",
            hint="use the same program version as the server",
        )


APPLICATION_ID = 0x44414E42
"""`DANB`: marks the file as Danube's, for `file` and for the next start."""


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Mark a new file, or one from before there were marks. Raises Permanent for the database of another program."""
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if found not in (0, APPLICATION_ID) or (found == 0 and tables and "schema_version" not in tables):
        raise Permanent(
            "database-foreign",
            f"{path} is the database of another program",
            cause=f"it has the tables {', '.join(sorted(tables)[:5]) or 'of none'}, and application id {found}",
            hint="name Danube's data directory: --data DIR, or restore a backup into a new one: danube restore FILE --data DIR",
        )
    if found == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def copy_name(path: Path, version: int) -> Path:
    """The copy that is made before a schema is migrated."""
    return path.with_name(f"{path.name}.schema-{version}")


def _migrate(connection: sqlite3.Connection, path: Path) -> int:
    """Each step and its version row in one transaction. Returns the version before them."""
    try:
        _check_owner(connection, path)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT"
        )
        version = int(connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise Permanent(
                "database-newer",
                f"{path} has schema {version}, this program knows up to {len(MIGRATIONS)}",
                hint="start the newer Danube that wrote it, or put the copy from before the upgrade in its place: "
                f"{copy_name(path, len(MIGRATIONS))}",
            )
        if 0 < version < len(MIGRATIONS):
            _copy_first(path, version)
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(
                f"BEGIN; {step} INSERT INTO schema_version VALUES ({number}, {time.time()}); COMMIT;"
            )
    except sqlite3.Error as error:
        raise _translated(error, path) from error
    return version


def _copy_first(path: Path, version: int) -> None:
    copy = copy_name(path, version)
    try:
        copy_database(path, copy)
    except OSError as error:
        raise _storage_error(error, path) from error
    _log.info("database-migrated", copy=str(copy), schema=version, to=len(MIGRATIONS))


_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def _storage_error(error: OSError, path: Path) -> StorageUnwritable:
    then = "what was answered is stored, and what waits is tried again"
    found = storage_error(error, "database", str(path), str(path.parent), then=then)
    return found or failing("database-disk-failing", str(path), str(path.parent), cause=str(error), then=then)


def _is_read_only(path: Path) -> bool:
    try:
        return is_read_only(str(path.parent))
    except OSError:
        return False


def _write_error(directory: Path) -> OSError | None:
    """The error that a new file in the directory gives; None where it can be written."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _translated(error: sqlite3.Error, path: Path) -> Permanent | Unavailable | StorageUnwritable | Defect:
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return _storage_error(OSError(errno.ENOSPC, str(error)), path)
    if code == sqlite3.SQLITE_IOERR or (code in _UNWRITABLE and _is_read_only(path)):
        # SQLite does not say what the system said: a quota, a read-only or a broken disk. A write of our own does.
        return _storage_error(_write_error(path.parent) or OSError(errno.EIO, str(error)), path)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Permanent(
            "database-corrupt",
            f"{path} is not a usable database",
            cause=str(error),
            hint="stop the server, and restore a backup into a new directory: danube restore FILE --data DIR",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("database-locked", f"{path} is locked by another program", cause=str(error))
    if code in _UNWRITABLE:
        return Permanent(
            "database-unreadable",
            f"{path} cannot be opened for writing",
            cause=str(error),
            hint=f"check owner and mode of {path.parent}",
        )
    return Defect("database-error", f"the database refused a statement: {error}")
