"""The database: what was answered is on disk, together where it can be, each on its own where one fails."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.store import Database
from danube_pkg.adapters.store import database as database_module
from danube_pkg.core.errors import Conflict, Defect, Permanent, StorageFull, Unavailable
from danube_pkg.kit.tasks import end_all
from tests.support.waiting import wait_until_async


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path / "danube.db")
    yield made
    await made.close()


def team(name: str) -> Callable[[sqlite3.Connection], str]:
    """A transaction that adds one."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO teams (id, name, created_at) VALUES (?, ?, 0)", (name, name))
        return name

    return work


def teams(database: Database) -> list[str]:
    return [row["id"] for row in database.read("SELECT id FROM teams ORDER BY id")]


class Hold:
    """Keeps the writer busy, so that what comes meanwhile waits together."""

    def __init__(self, database: Database) -> None:
        self._go = threading.Event()
        self._begun = threading.Event()
        self.commits: list[str] = []
        self._database = database
        self._task = asyncio.create_task(database.write(self._wait), name="hold")

    def _wait(self, connection: sqlite3.Connection) -> None:
        self._begun.set()
        connection.set_trace_callback(lambda sql: self.commits.append(sql) if sql == "COMMIT" else None)
        assert self._go.wait(10)

    @classmethod
    async def on(cls, database: Database) -> "Hold":
        """The writer is busy when this returns."""
        made = cls(database)
        await wait_until_async(made._begun.is_set, 10, "the writer to be busy")
        return made

    async def until_waiting(self, count: int) -> None:
        await wait_until_async(lambda: self._database._letters.qsize() == count, 10, f"{count} to wait")

    async def let_go(self) -> None:
        self._go.set()
        await self._task


async def test_what_waits_together_is_committed_together(database: Database) -> None:
    hold = await Hold.on(database)
    names = [f"team-{number:03}" for number in range(100)]
    asked = [asyncio.create_task(database.write(team(name)), name=name) for name in names]
    await hold.until_waiting(100)
    await hold.let_go()
    assert await asyncio.gather(*asked) == names
    assert teams(database) == names
    assert len(hold.commits) == 2, "one for the first, one for all others"


async def test_one_that_fails_undoes_only_itself(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        team("half")(connection)
        raise Conflict("no", "not like this")

    hold = await Hold.on(database)
    asked = [
        asyncio.create_task(database.write(work), name=f"write {number}")
        for number, work in enumerate([team("one"), half, team("one"), team("two"), lambda c: c.execute("nonsense")])
    ]
    await hold.until_waiting(5)
    await hold.let_go()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends] == [str, Conflict, Defect, str, Defect]
    assert teams(database) == ["one", "two"]


async def test_a_refusal_is_not_told_before_what_it_rests_on_is_there(database: Database) -> None:
    """Or, when the group cannot be committed, it would rest on nothing."""

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
    await hold.let_go()
    await asyncio.gather(*asked)
    assert "one" in asked[1].result()


async def test_whatever_a_transaction_does_the_writer_goes_on(database: Database) -> None:
    def leaves(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await database.write(leaves)
    assert await database.write(team("one")) == "one"


async def test_a_caller_that_leaves_does_not_take_its_transaction_along(database: Database) -> None:
    hold = await Hold.on(database)
    asked = asyncio.create_task(database.write(team("one")), name="asked")
    await hold.until_waiting(1)
    await end_all(asked)
    await hold.let_go()
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
    await hold.let_go()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(ends[1], StorageFull)
    assert f"free space on the file system of {database.path.parent}" in ends[1].hint
    answered = [end for end in ends if isinstance(end, str)]
    assert teams(database) == sorted(["before", *answered]), "what was refused is not there, what was answered is"
    database._writing.execute("PRAGMA max_page_count=1000000")
    await database.write(large)
    await database.write(team("after"))
    assert {"before", "after", blob} <= set(teams(database))


async def test_everything_that_was_asked_for_is_committed_before_the_end(tmp_path: Path) -> None:
    database = Database(tmp_path / "danube.db")
    asked = [asyncio.create_task(database.write(team(f"t{n}")), name=f"write {n}") for n in range(20)]
    await wait_until_async(lambda: len(teams(database)) == 20 or database._letters.qsize(), 10, "some of them")
    await database.close()
    assert await asyncio.gather(*asked) == [f"t{n}" for n in range(20)]
    await database.close()
    with pytest.raises(Unavailable, match="stopping"):
        await database.write(team("late"))


async def test_too_many_that_wait_are_told_to_come_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database._letters, "maxsize", 2)
    hold = await Hold.on(database)
    asked = [asyncio.create_task(database.write(team(f"t{n}")), name=f"write {n}") for n in range(3)]
    with pytest.raises(Unavailable, match="transactions wait already"):
        await asked[2]
    await hold.let_go()
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


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "danube.db"
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 50)
    with pytest.raises(Permanent) as refusal:
        Database(path)
    assert refusal.value.reference == "database-corrupt"
    assert path.read_bytes().startswith(b"something else")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as refusal:
        Database(tmp_path / "nowhere" / "danube.db")
    assert str(tmp_path / "nowhere") in refusal.value.hint


@pytest.mark.parametrize(
    ("code", "kind", "reference"),
    [
        (sqlite3.SQLITE_FULL, StorageFull, "database-disk-full"),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFull, "database-disk-full"),
        (sqlite3.SQLITE_IOERR_FSYNC, Unavailable, "database-io-error"),
        (sqlite3.SQLITE_IOERR_READ, Unavailable, "database-io-error"),
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
