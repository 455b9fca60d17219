"""A new encryption key: everything is readable with it, nothing with the old one, wherever it is interrupted."""

import asyncio
import errno
import itertools
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import SqliteHooks, SqliteJobs, SqliteSecrets
from danube_pkg.bootstrap.identity import build_audit
from danube_pkg.bootstrap.store import Store, open_store
from danube_pkg.core.errors import Conflict, Permanent, StorageFull
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.secrets.secret import SecretName, StoredSecret
from danube_pkg.core.triggers.managed_hooks import ManagedHook, hook_secret_name
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops.rotate_key import Rotation, rotate_encryption_key
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.services.stores import PIPELINE, a_job

TOKEN, REPLACED = SecretName(None, "TOKEN"), b"the value before"
LONG = SecretName("app", "LONG")
VALUES = {TOKEN: b"the value now", LONG: b"0123456789abcdef" * 1000}


def secrets_of(store: Store) -> Secrets:
    return Secrets(SqliteSecrets(store.database), store.keys, store.clock, store.new_id, KnownValues())


async def used_directory(path: Path) -> dict[str, bytes]:
    """A directory with secrets, a replaced one, a webhook and two audit entries. Returns what is encrypted, by id."""
    async with open_store(path) as store:
        secrets, audit = secrets_of(store), build_audit(store)
        await secrets.set(TOKEN, REPLACED, "alice")
        for name, value in VALUES.items():
            await secrets.set(name, value, "alice")
        hook = store.keys.encrypt_secret("marker", hook_secret_name("h/o/app"), b"secret of a webhook")
        await SqliteHooks(store.database).put_hook(
            ManagedHook("h/o/app", Forge.GITEA, "marker", hook, "https://h/o/app")
        )
        for action in ("first", "second"):
            await audit.record(AuditEvent(0.0, "alice", action))
        stored = await SqliteSecrets(store.database).every_secret()
        return {**{one.id: one.value_encrypted for one in stored}, "hook": hook}


async def check_readable(path: Path, audit_entries: int) -> Keys:
    async with open_store(path) as store:
        secrets = secrets_of(store)
        assert set(await secrets.values_to_mask("app")) == {REPLACED, *VALUES.values()}
        hook = await SqliteHooks(store.database).hook_with("marker")
        assert hook is not None
        assert store.keys.decrypt_secret(hook.stored_secret) == b"secret of a webhook"
        state = await build_audit(store).check()
        assert (state.entries, state.whole) == (audit_entries, True)
        assert not (path / "keys" / "encryption.key.next").exists()
        return store.keys


async def rotate(path: Path) -> Rotation:
    return await rotate_encryption_key(path, "alice", SystemClock())


async def test_everything_is_encrypted_with_the_new_key_and_nothing_with_the_old_one(tmp_path: Path) -> None:
    before = await used_directory(tmp_path)
    old = Keys.read(tmp_path / "keys")
    done = await rotate(tmp_path)
    assert (done.count, done.fingerprint) == (4, Keys.read(tmp_path / "keys").fingerprint)
    content = b"".join(file.read_bytes() for file in tmp_path.glob("danube.db*"))
    assert not [name for name, encrypted in before.items() if encrypted[:64] in content]
    async with open_store(tmp_path) as store:
        for stored in await SqliteSecrets(store.database).every_secret():
            with pytest.raises(Permanent, match="cannot be decrypted"):
                old.decrypt_secret(stored)
    await check_readable(tmp_path, audit_entries=3)


async def test_the_audit_log_is_checked_across_rotations(tmp_path: Path) -> None:
    await used_directory(tmp_path)
    for entries in (3, 4):
        await rotate(tmp_path)
        await check_readable(tmp_path, audit_entries=entries)
    for sequence in (1, 3, 4):
        async with open_store(tmp_path) as store:
            await set_actor(store, sequence, "mallory")
            assert (await build_audit(store).check()).broken_at == sequence
            await set_actor(store, sequence, "alice")
    await check_readable(tmp_path, audit_entries=4)


async def set_actor(store: Store, sequence: int, actor: str) -> None:
    """As a user does who can write the file: triggers refuse changes only until they are dropped."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TRIGGER IF EXISTS audit_keeps_content")
        connection.execute("UPDATE audit SET actor = ? WHERE sequence = ?", (actor, sequence))

    await store.database.write(work)


class Interrupted(Exception):
    """The process ends here."""


def interrupt_at(point: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Raise at that call of those that change the directory. Returns how many there were."""
    calls = itertools.count(1)
    made = 0

    def wrap(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def stopping(*args: object, **options: object) -> object:
            nonlocal made
            made = next(calls)
            if made == point:
                raise Interrupted
            return real(*args, **options)

        monkeypatch.setattr(owner, name, stopping)

    wrap(os, "fsync")
    wrap(os, "replace")
    wrap(Path, "replace")
    wrap(sys.modules["danube_pkg.ops.rotate_key"], "encrypt_again")
    wrap(sys.modules["danube_pkg.ops.rotate_key"], "append_entry")
    wrap(sys.modules["danube_pkg.ops.rotate_key"], "end_rotation")
    wrap(sys.modules["danube_pkg.bootstrap.keys"], "compact")
    return lambda: made


async def test_a_rotation_that_is_interrupted_anywhere_loses_nothing(tmp_path: Path) -> None:
    await used_directory(tmp_path)
    entries, points = 2, 0
    for point in itertools.count(1):
        before = Keys.read(tmp_path / "keys").fingerprint
        with pytest.MonkeyPatch.context() as monkeypatch:
            interrupt_at(point, monkeypatch)
            try:
                await rotate(tmp_path)
            except Interrupted:
                points += 1
            else:
                break
        async with open_store(tmp_path) as store:
            entries += store.keys.fingerprint != before
        await check_readable(tmp_path, audit_entries=entries)
    assert points >= 8
    await check_readable(tmp_path, audit_entries=entries + 1)


KILLED = """
import asyncio, os, sys
from pathlib import Path
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops import rotate_key
rotate_key.end_rotation = lambda *_: os._exit(9)
asyncio.run(rotate_key.rotate_encryption_key(Path(sys.argv[1]), "alice", SystemClock()))
"""


async def test_the_next_start_ends_a_rotation_of_a_killed_process(tmp_path: Path) -> None:
    await used_directory(tmp_path)
    before = Keys.read(tmp_path / "keys").fingerprint
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path))
    assert await killed.wait() == 9
    assert Keys.read(tmp_path / "keys").fingerprint == before
    assert (await check_readable(tmp_path, audit_entries=3)).fingerprint != before


async def test_a_full_disk_keeps_the_old_key_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used_directory(tmp_path)
    before = Keys.read(tmp_path / "keys").fingerprint

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageFull, match="no room for encryption"):
            await rotate(tmp_path)
    assert (await check_readable(tmp_path, audit_entries=2)).fingerprint == before


async def test_no_rotation_while_a_server_runs_or_a_job_has_a_pod(tmp_path: Path) -> None:
    await used_directory(tmp_path)
    async with open_store(tmp_path) as store:
        with pytest.raises(Conflict, match="another process uses"):
            await rotate(tmp_path)
        await store.pipelines.apply_pipelines([PIPELINE], "revision")
        await SqliteJobs(store.database).create_jobs([a_job("01000000"), a_job("01000001", phase=Phase.RUNNING)])
    before = Keys.read(tmp_path / "keys").fingerprint
    with pytest.raises(Conflict, match="job 01000001 still runs"):
        await rotate(tmp_path)
    assert (await check_readable(tmp_path, audit_entries=2)).fingerprint == before


async def test_a_secret_that_cannot_be_decrypted_stops_the_rotation(tmp_path: Path) -> None:
    await used_directory(tmp_path)
    async with open_store(tmp_path) as store:
        wrong = StoredSecret("01other", SecretName(None, "OTHER"), b"x" * 40, 1.0, 1.0)
        await SqliteSecrets(store.database).put_secret(wrong)
    with pytest.raises(Permanent, match="OTHER cannot be decrypted"):
        await rotate(tmp_path)
    async with open_store(tmp_path) as store:
        assert await secrets_of(store).read_for_server("TOKEN", "a test") == VALUES[TOKEN]
