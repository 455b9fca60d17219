"""A used data directory that lost its key or its database is refused; nothing is silently made anew."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from danube_pkg.adapters.store import SqliteSecrets, SqliteServerState
from danube_pkg.bootstrap.keys import open_ssh_key
from danube_pkg.bootstrap.store import open_store
from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.services.provenance.signing_keys import KnownSigningKeys
from danube_pkg.services.secrets import KnownValues, Secrets


async def use(path: Path) -> None:
    """A server that stores a secret, and stops."""
    async with open_store(path) as store:
        secrets = Secrets(SqliteSecrets(store.database), store.keys, store.clock, store.new_id, KnownValues())
        await secrets.set(SecretName(None, "TOKEN"), b"a secret value", "alice")
        await open_ssh_key(path / "keys", store.database)


async def refused(path: Path) -> Permanent:
    with pytest.raises(Permanent) as refusal:
        async with open_store(path):
            raise AssertionError("it must not open")
    assert "restore" in refusal.value.hint
    return refusal.value


async def test_a_server_finds_what_it_made(tmp_path: Path) -> None:
    await use(tmp_path)
    async with open_store(tmp_path) as store:
        _, is_new = await open_ssh_key(tmp_path / "keys", store.database)
        assert not is_new


async def test_a_missing_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    await use(tmp_path)
    shutil.rmtree(tmp_path / "keys")
    assert (await refused(tmp_path)).reference == "key-missing"
    assert not (tmp_path / "keys" / "encryption.key").exists()


async def test_a_missing_key_beside_a_database_from_before_fingerprints_is_refused(tmp_path: Path) -> None:
    await use(tmp_path)
    shutil.rmtree(tmp_path / "keys")
    with sqlite3.connect(tmp_path / "danube.db") as older:
        older.execute("DELETE FROM server_state")
    assert (await refused(tmp_path)).reference == "key-missing"


async def test_another_key_is_refused(tmp_path: Path) -> None:
    await use(tmp_path / "one")
    await use(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "keys" / "encryption.key", tmp_path / "one" / "keys" / "encryption.key")
    assert (await refused(tmp_path / "one")).reference == "key-changed"


async def test_a_key_from_before_fingerprints_is_accepted_and_known_from_then_on(tmp_path: Path) -> None:
    await use(tmp_path)
    with sqlite3.connect(tmp_path / "danube.db") as older:
        older.execute("DELETE FROM server_state")
    async with open_store(tmp_path) as store:
        assert await store.jobs.list_jobs(JobFilter()) == []
    shutil.rmtree(tmp_path / "keys")
    assert (await refused(tmp_path)).reference == "key-missing"


@pytest.mark.parametrize("is_emptied", [False, True])
async def test_a_missing_or_empty_database_is_refused(tmp_path: Path, is_emptied: bool) -> None:
    await use(tmp_path)
    for left in tmp_path.glob("danube.db*"):
        left.unlink()
    if is_emptied:
        (tmp_path / "danube.db").touch()
    assert (await refused(tmp_path)).reference == "database-missing"


async def test_a_start_that_was_killed_before_it_made_the_key_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "danube.db").touch()
    await use(tmp_path)


async def test_the_database_of_another_program_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "danube.db") as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    assert (await refused(tmp_path)).reference == "database-foreign"
    with sqlite3.connect(tmp_path / "danube.db") as other:
        assert [row[0] for row in other.execute("SELECT name FROM sqlite_master")] == ["bookmarks"]


async def test_a_missing_deploy_key_is_refused(tmp_path: Path) -> None:
    await use(tmp_path)
    (tmp_path / "keys" / "git_deploy_key").unlink()
    async with open_store(tmp_path) as store:
        with pytest.raises(Permanent, match="git_deploy_key") as refusal:
            await open_ssh_key(tmp_path / "keys", store.database)
    assert refusal.value.reference == "key-missing"


async def test_a_missing_signing_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    await use(tmp_path)
    (tmp_path / "keys" / "signing.key").unlink()
    assert (await refused(tmp_path)).reference == "key-missing"
    assert not (tmp_path / "keys" / "signing.key").exists()


async def test_a_server_from_before_signing_keys_gets_one(tmp_path: Path) -> None:
    await use(tmp_path)
    (tmp_path / "keys" / "signing.key").unlink()
    with sqlite3.connect(tmp_path / "danube.db") as older:
        older.execute("DELETE FROM server_state WHERE name = 'signing-key'")
    async with open_store(tmp_path) as store:
        assert len(store.signing.public_keys()) == 1


async def test_another_signing_key_is_refused(tmp_path: Path) -> None:
    await use(tmp_path / "one")
    await use(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "keys" / "signing.key", tmp_path / "one" / "keys" / "signing.key")
    assert (await refused(tmp_path / "one")).reference == "key-changed"


async def test_a_rotation_that_the_database_does_not_know_yet_is_accepted(tmp_path: Path) -> None:
    """The server was killed between the files and the database."""
    async with open_store(tmp_path) as store:
        key = await store.signing.rotate()
    async with open_store(tmp_path) as store:
        assert store.signing.current == key
    shutil.rmtree(tmp_path / "keys" / "history")
    async with open_store(tmp_path) as store:
        assert store.signing.current == key


async def test_a_key_that_was_retired_does_not_come_back(tmp_path: Path) -> None:
    """As after a restore of one file: what the newer key has signed could not be verified any more."""
    async with open_store(tmp_path) as store:
        shutil.copy(tmp_path / "keys" / "signing.key", tmp_path / "old.key")
        await KnownSigningKeys(store.signing, SqliteServerState(store.database)).rotate()
    shutil.copy(tmp_path / "old.key", tmp_path / "keys" / "signing.key")
    assert (await refused(tmp_path)).reference == "key-changed"
