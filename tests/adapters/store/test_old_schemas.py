"""Databases of every older schema are migrated, after a copy, and have all of their rows afterwards."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from danube_pkg.adapters.store import Database, SqliteJobs
from danube_pkg.adapters.store.copies import check_integrity, schema_of
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.core.errors import StorageUnwritable
from danube_pkg.core.reasons import Status
from tests.adapters.store.old_schemas import FOLDER, load

NUMBERS = sorted(int(path.stem) for path in FOLDER.glob("*.sql"))
JOB = "01h00000000000000000000001"


def definitions(path: Path) -> dict[str, str]:
    """What the schema consists of, by name, whatever spaces its text has."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()).replace('"', "") for name, sql in rows}


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def test_no_older_schema_is_missing() -> None:
    """Up to the newest that was released: python -m tests.adapters.store.old_schemas"""
    numbers = NUMBERS
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 15


@pytest.mark.parametrize("number", NUMBERS)
async def test_an_older_database_is_migrated_with_all_rows(tmp_path: Path, number: int) -> None:
    path, new = tmp_path / "danube.db", tmp_path / "new.db"
    load(number, path)
    before = counts(path)
    database = Database(path)
    job = await SqliteJobs(database).load_job(JOB)
    assert job is not None
    assert (job.status, len(job.steps), job.trigger.actor) == (Status.SUCCESS, 1, "carol")
    await database.close()
    check_integrity(path)
    await Database(new).close()
    assert definitions(path) == definitions(new)
    after = counts(path)
    lost = {name for name, count in before.items() if after[name] < count and name != "schema_version"}
    assert lost == set()
    copy = tmp_path / f"danube.db.schema-{number}"
    assert schema_of(copy) == number
    assert counts(copy) == before
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_a_new_and_a_current_database_are_not_copied(tmp_path: Path) -> None:
    for _ in range(2):
        await Database(tmp_path / "danube.db").close()
    assert not list(tmp_path.glob("danube.db.schema-*"))
    assert Database.migrate(tmp_path / "danube.db") == len(MIGRATIONS)


def test_without_room_for_the_copy_nothing_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "danube.db"
    load(NUMBERS[-1], path)
    before = path.read_bytes()

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("danube_pkg.adapters.store.database.copy_database", full)
    with pytest.raises(StorageUnwritable):
        Database(path)
    assert schema_of(path) == NUMBERS[-1]
    assert len(path.read_bytes()) == len(before)
