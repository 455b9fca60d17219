"""The database's writer: what was answered is on disk, transactions share commits, and each fails alone."""

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.store import Database
from danube_pkg.adapters.store import database as database_module
from danube_pkg.core.errors import Conflict, Defect, Permanent, StorageFailing, StorageFull, Unavailable
from danube_pkg.kit.tasks import end_all
from tests.support.waiting import wait_until_async


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path / "danube.db")
    yield made
    await made.close()


def team(name: str) -> Callable[[sqlite3.Connection], str]:
    """A transaction that adds one team."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO teams (id, name, created_at) VALUES (?, ?, 0)", (name, name))
        return name

    return work


def teams(database: Database) -> list[str]:
    return [row["id"] for row in database.read("SELECT id FROM teams ORDER BY id")]


class Hold:
    """Blocks the writer, so that transactions wait and are committed together."""

    def __init__(self, database: Database) -> None:
        self._released = threading.Event()
        self._started = threading.Event()
        self.commits: list[str] = []
        self._database = database
        self._task = asyncio.create_task(database.write(self._wait), name="hold")

    def _wait(self, connection: sqlite3.Connection) -> None:
        self._started.set()
        connection.set_trace_callback(lambda sql: self.commits.append(sql) if sql == "COMMIT" else None)
        assert self._released.wait(10)

    @classmethod
    async def on(cls, database: Database) -> "Hold":
        """The writer is blocked when this returns."""
        made = cls(database)
        await wait_until_async(made._started.is_set, 10, "the writer to be busy")
        return made

    async def until_waiting(self, count: int) -> None:
        await wait_until_async(lambda: self._database._waiting.qsize() == count, 10, f"{count} to wait")

    async def release(self) -> None:
        self._released.set()
        await self._task


async def test_transactions_that_wait_together_are_committed_together(database: Database) -> None:
    hold = await Hold.on(database)
    names = [f"team-{number:03}" for number in range(100)]
    asked = [asyncio.create_task(database.write(team(name)), name=name) for name in names]
    await hold.until_waiting(100)
    await hold.release()
    assert await asyncio.gather(*asked) == names
    assert teams(database) == names
    assert len(hold.commits) == 2, "one for the first, one for all others"


async def test_a_failing_transaction_is_rolled_back_alone(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        team("half")(connection)
        raise Conflict("no", "not like this")

    hold = await Hold.on(database)
    asked = [
        asyncio.create_task(database.write(work), name=f"write {number}")
        for number, work in enumerate([team("one"), half, team("one"), team("two"), lambda c: c.execute("nonsense")])
    ]
    await hold.until_waiting(5)
    await hold.release()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends] == [str, Conflict, Defect, str, Defect]
    assert teams(database) == ["one", "two"]


async def test_an_error_is_returned_only_after_the_commit_that_it_depends_on(database: Database) -> None:
    """The group may fail to commit, and the error would then depend on something that was not written."""

    def second(connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM teams WHERE id = 'one'").fetchone():
            raise Conflict("taken", "there is one")

    async def seen_at_the_refusal() -> list[str]:
        with pytest.raises(Conflict):
            await database.write(second)
        return teams(database)

    hold = await Hold.on(database)
    asked = [
        asyncio.create_task(database.write(team("one")), name="first"),
        asyncio.create_task(seen_at_the_refusal(), name="second"),
        *(asyncio.create_task(database.write(team(f"t{number}")), name="more") for number in range(50)),
    ]
    await hold.until_waiting(52)
    await hold.release()
    await asyncio.gather(*asked)
    assert "one" in asked[1].result()


async def test_the_writer_survives_whatever_a_transaction_raises(database: Database) -> None:
    def leaves(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await database.write(leaves)
    assert await database.write(team("one")) == "one"


async def test_a_cancelled_caller_does_not_cancel_its_transaction(database: Database) -> None:
    hold = await Hold.on(database)
    asked = asyncio.create_task(database.write(team("one")), name="asked")
    await hold.until_waiting(1)
    await end_all(asked)
    await hold.release()
    await database.write(team("two"))
    assert teams(database) == ["one", "two"]


async def test_a_full_disk_loses_nothing_that_was_answered(database: Database) -> None:
    await database.write(team("before"))
    pages = database.read("PRAGMA page_count")[0][0]
    database._writing.execute(f"PRAGMA max_page_count={pages + 2}")
    blob = "x" * 100_000

    def large(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO teams (id, name, created_at) VALUES (?, ?, 0)", (blob, blob))

    hold = await Hold.on(database)
    works = [team("beside"), large, team("behind")]
    asked = [asyncio.create_task(database.write(work), name=f"write {n}") for n, work in enumerate(works)]
    await hold.until_waiting(3)
    await hold.release()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(ends[1], StorageFull)
    assert f"free space on the file system of {database.path.parent}" in ends[1].hint
    answered = [end for end in ends if isinstance(end, str)]
    assert teams(database) == sorted(["before", *answered]), "what was refused is not there, what was answered is"
    database._writing.execute("PRAGMA max_page_count=1000000")
    await database.write(large)
    await database.write(team("after"))
    assert {"before", "after", blob} <= set(teams(database))


async def test_close_commits_all_waiting_transactions(tmp_path: Path) -> None:
    database = Database(tmp_path / "danube.db")
    asked = [asyncio.create_task(database.write(team(f"t{n}")), name=f"write {n}") for n in range(20)]
    await wait_until_async(lambda: len(teams(database)) == 20 or database._waiting.qsize(), 10, "some of them")
    await database.close()
    assert await asyncio.gather(*asked) == [f"t{n}" for n in range(20)]
    await database.close()
    with pytest.raises(Unavailable, match="stopping"):
        await database.write(team("late"))


async def test_a_transaction_above_the_limit_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database._waiting, "maxsize", 2)
    hold = await Hold.on(database)
    asked = [asyncio.create_task(database.write(team(f"t{n}")), name=f"write {n}") for n in range(3)]
    with pytest.raises(Unavailable, match="transactions are already waiting"):
        await asked[2]
    await hold.release()
    assert await asyncio.gather(*asked[:2]) == ["t0", "t1"]


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(Permanent):
        database.read("DELETE FROM teams")


async def test_a_database_that_another_program_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_MS", 20)
    database = Database(tmp_path / "danube.db")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked by another program"):
        await database.write(team("one"))
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(team("one")) == "one"
    await database.close()


def test_another_kind_of_file_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "danube.db"
    path.write_bytes(b"something else entirely, and long enough to be read" * 50)
    with pytest.raises(Permanent) as refusal:
        Database(path)
    assert refusal.value.reference == "database-corrupt"
    assert path.read_bytes().startswith(b"something else")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as refusal:
        Database(tmp_path / "nowhere" / "danube.db")
    assert str(tmp_path / "nowhere") in refusal.value.hint


@pytest.mark.parametrize(
    ("code", "kind", "reference"),
    [
        (sqlite3.SQLITE_FULL, StorageFull, "database-disk-full"),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFailing, "database-disk-failing"),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageFailing, "database-disk-failing"),
        (sqlite3.SQLITE_IOERR_READ, StorageFailing, "database-disk-failing"),
        (sqlite3.SQLITE_BUSY, Unavailable, "database-locked"),
        (sqlite3.SQLITE_CORRUPT, Permanent, "database-corrupt"),
        (sqlite3.SQLITE_READONLY, Permanent, "database-unreadable"),
        (sqlite3.SQLITE_CONSTRAINT, Defect, "database-error"),
    ],
)
def test_each_failure_of_sqlite_has_its_name(code: int, kind: type[Exception], reference: str) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    translated = database_module._translated(error, Path("/data/danube.db"))
    assert isinstance(translated, kind)
    assert translated.reference == reference


@pytest.mark.parametrize(
    ("number", "reference"), [(errno.EDQUOT, "database-disk-full"), (errno.EROFS, "database-disk-failing")]
)
def test_the_cause_of_a_failed_write_is_found_by_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reference: str
) -> None:
    """SQLite says "disk I/O error" for a quota, for a read-only disk and for a broken one."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    translated = database_module._translated(error, tmp_path / "danube.db")
    assert translated.reference == reference
    assert os.strerror(number) in str(translated)


async def test_each_connection_keeps_a_bounded_part_of_the_file_in_memory(database: Database) -> None:
    sizes = [one.execute("PRAGMA cache_size").fetchone()[0] for one in (database._writing, database._reading)]
    assert sizes == [-database_module.CACHE_KIB] * 2
