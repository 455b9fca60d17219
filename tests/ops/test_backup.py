"""Backups: made beside a server that writes, encrypted, verified, restored; and what is refused."""

import asyncio
import gzip
import os
import shutil
import sqlite3
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pyrage
import pytest

from danube_pkg.adapters.backups.encryption import Openers
from danube_pkg.bootstrap.store import Store, open_store
from danube_pkg.core.errors import Conflict, Invalid, Permanent
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops.backup import BackupOptions, back_up, restore
from tests.support.databases import connection_of

CLOCK = SystemClock()
ALL = BackupOptions(("artifacts", "logs"))
VALUE = b"a secret value"


class Original:
    """A data directory with jobs in different phases, whose server has it open."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = store.directory

    async def fill(self) -> None:
        encrypted = self.store.keys.encrypt_secret("s", SecretName(None, "TOKEN"), VALUE)

        def rows(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO pipelines (id, name, repo_url, created_at, updated_at, settings) "
                "VALUES ('p', 'app', '', 0, 0, '{}')"
            )
            connection.execute("INSERT INTO secrets VALUES ('s', NULL, 'TOKEN', ?, 0, 0)", (encrypted,))

        await self.store.database.write(rows)
        self.jobs = {phase: await self.job(phase) for phase in (Phase.CLOSED, Phase.RUNNING, Phase.QUEUED)}
        await self.store.signing.rotate()  # leaves a file in keys/history
        (self.path / "logs").mkdir()
        for job in self.jobs.values():
            (self.path / "logs" / f"{job}.log").write_bytes(b"hello\n" * 1000)
            (self.path / "logs" / f"{job}.idx").write_bytes(b"i" * 100)
        (self.path / "artifacts" / self.jobs[Phase.CLOSED]).mkdir(parents=True)
        (self.path / "artifacts" / self.jobs[Phase.CLOSED] / "report.tar.gz").write_bytes(os.urandom(100_000))

    async def job(self, phase: Phase) -> str:
        status = {Phase.CLOSED: Status.SUCCESS, Phase.RUNNING: Status.RUNNING}.get(phase, Status.PENDING)
        trigger, settings = Trigger("manual", "carol", Revision("")), PipelineSettings("/nowhere")
        job = Job(self.store.new_id(), "p", "app", trigger, settings, 1.0, phase=phase, status=status)
        await self.store.jobs.create_jobs([job])
        return job.id


@pytest.fixture
async def original(tmp_path: Path) -> AsyncIterator[Original]:
    async with open_store(tmp_path / "data") as store:
        made = Original(store)
        await made.fill()
        yield made


async def test_a_backup_of_a_running_server_is_restored_whole(original: Original, tmp_path: Path) -> None:
    done = back_up(original.path, tmp_path / "backup", ALL, CLOCK)
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    assert done.head.includes == ("artifacts", "logs")
    restore(tmp_path / "backup", tmp_path / "new", Openers(), CLOCK)
    for name in ("logs", "artifacts", "keys"):
        before = {path.relative_to(original.path): path.read_bytes() for path in (original.path / name).rglob("*.*")}
        assert before
        for path, content in before.items():
            assert (tmp_path / "new" / path).read_bytes() == content
    async with open_store(tmp_path / "new") as store:
        (row,) = store.database.read("SELECT value_encrypted FROM secrets")
        found = await store.jobs.load_job(original.jobs[Phase.CLOSED])
        assert found is not None
        assert found.status is Status.SUCCESS
        assert VALUE not in row["value_encrypted"]
        assert store.keys.fingerprint == original.store.keys.fingerprint


async def test_a_restored_directory_starts_paused_and_its_running_jobs_have_ended(
    original: Original, tmp_path: Path
) -> None:
    back_up(original.path, tmp_path / "backup", BackupOptions(), CLOCK)
    done = restore(tmp_path / "backup", tmp_path / "new", Openers(), CLOCK)
    assert done.ended_jobs == 1
    async with open_store(tmp_path / "new") as store:
        ended = await store.jobs.load_job(original.jobs[Phase.RUNNING])
        waiting = await store.jobs.load_job(original.jobs[Phase.QUEUED])
        assert ended is not None
        assert waiting is not None
        assert (ended.phase, ended.status, ended.reason) == (Phase.CLOSED, Status.FAILURE, Reason.INFRASTRUCTURE_LOST)
        assert waiting.phase is Phase.QUEUED
        rows = store.database.read("SELECT name FROM server_state WHERE name IN ('draining', 'restored')")
        assert len(rows) == 2
    assert (tmp_path / "new" / "identity.json").read_bytes() != (original.path / "identity.json").read_bytes()


async def test_a_backup_is_whole_while_jobs_are_written(original: Original, tmp_path: Path) -> None:
    """The copy is of one moment: every job that it has is complete, however the server writes meanwhile."""
    stop = asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop.is_set():
            await original.job(Phase.CLOSED)
            count += 1
        return count

    writing = asyncio.create_task(write(), name="writer")
    for number in range(3):
        await asyncio.to_thread(back_up, original.path, tmp_path / f"backup{number}", BackupOptions(), CLOCK)
    stop.set()
    assert await writing > 0
    restore(tmp_path / "backup2", tmp_path / "new", Openers(), CLOCK)


@pytest.mark.long
async def test_a_passphrase_protects_a_backup(original: Original, tmp_path: Path) -> None:
    (tmp_path / "right").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("battery staple\n")
    backup = tmp_path / "backup"
    back_up(original.path, backup, BackupOptions(passphrase_file=str(tmp_path / "right")), CLOCK)
    key = (original.path / "keys" / "encryption.key").read_bytes().strip()
    assert key not in backup.read_bytes()
    with pytest.raises(Invalid, match="encrypted with a passphrase"):
        restore(backup, tmp_path / "new", Openers(), CLOCK)
    with pytest.raises(Permanent) as refusal:
        restore(backup, tmp_path / "new", Openers(passphrase_file=str(tmp_path / "wrong")), CLOCK)
    assert refusal.value.reference == "backup-not-opened"
    restore(backup, tmp_path / "new", Openers(passphrase_file=str(tmp_path / "right")), CLOCK)
    assert (tmp_path / "new" / "keys" / "encryption.key").read_bytes().strip() == key


async def test_a_recipient_alone_opens_a_backup(original: Original, tmp_path: Path) -> None:
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (tmp_path / "mine").write_text(f"# created: today\n{mine}\n")
    (tmp_path / "other").write_text(f"{other}\n")
    backup = tmp_path / "backup"
    back_up(original.path, backup, BackupOptions(recipients=(str(mine.to_public()),)), CLOCK)
    assert backup.read_bytes().startswith(b"age-encryption.org/v1")
    for openers, reference in (
        (Openers(), "backup-encrypted"),
        (Openers(identity_file=str(tmp_path / "other")), "backup-not-opened"),
        (Openers(identity_file=str(backup)), "identity-invalid"),
        (Openers(identity_file=str(tmp_path / "none")), "file-unreadable"),
    ):
        with pytest.raises(Permanent) as refusal:
            restore(backup, tmp_path / "new", openers, CLOCK)
        assert refusal.value.reference == reference
        assert not any((tmp_path / "new").iterdir())
    restore(backup, tmp_path / "new", Openers(identity_file=str(tmp_path / "mine")), CLOCK)


async def test_a_recipient_that_is_none_is_refused(original: Original, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is not a recipient of age"):
        back_up(original.path, tmp_path / "backup", BackupOptions(recipients=("alice",)), CLOCK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def unpacked(data: bytes) -> bytes:
    """What is compressed; empty for damaged data."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return b""


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_damaged_backup_is_refused_and_leaves_nothing(
    original: Original, tmp_path: Path, is_encrypted: bool
) -> None:
    """Cut off at many places, and with one bit changed at many places behind gzip's header, which nothing protects."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    backup, bad = tmp_path / "backup", tmp_path / "bad"
    recipients = (str(identity.to_public()),) if is_encrypted else ()
    back_up(original.path, backup, BackupOptions(recipients=recipients), CLOCK)
    openers = Openers(identity_file=str(tmp_path / "identity"))
    whole = backup.read_bytes()
    for at in range(10, len(whole) - 8, len(whole) // 12):
        changed = bytearray(whole)
        changed[at] ^= 0x10
        for data in (whole[:at], bytes(changed)):
            if not is_encrypted and unpacked(data) == unpacked(whole):
                continue  # a bit of the compression that changes nothing
            bad.write_bytes(data)
            with pytest.raises(Permanent) as refusal:
                restore(bad, tmp_path / "new", openers, CLOCK)
            assert refusal.value.reference in {"backup-damaged", "backup-not-opened"}
            assert not any((tmp_path / "new").iterdir())


async def test_a_directory_that_is_used_is_not_restored_into(original: Original, tmp_path: Path) -> None:
    back_up(original.path, tmp_path / "backup", BackupOptions(), CLOCK)
    with pytest.raises(Conflict, match="is not an empty directory"):
        restore(tmp_path / "backup", original.path, Openers(), CLOCK)


async def test_a_backup_without_its_key_is_not_made(original: Original, tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(b"")
    key = original.path / "keys" / "encryption.key"
    data = key.read_bytes()
    key.unlink()
    with pytest.raises(Permanent, match="there is no"):
        back_up(original.path, tmp_path / "backup", BackupOptions(), CLOCK)
    key.write_bytes(data.swapcase())
    key.chmod(0o600)
    with pytest.raises(Permanent, match="is not the key of this database"):
        back_up(original.path, tmp_path / "backup", BackupOptions(), CLOCK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "data"]


async def test_a_damaged_database_is_not_backed_up_and_the_former_backup_stays(
    original: Original, tmp_path: Path
) -> None:
    back_up(original.path, tmp_path / "backup", BackupOptions(), CLOCK)
    former = (tmp_path / "backup").read_bytes()
    copy = tmp_path / "copy"
    connection_of(original.store.database).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(original.path, copy)
    for name in ("danube.db-wal", "danube.db-shm"):
        (copy / name).unlink(missing_ok=True)
    whole = bytearray((copy / "danube.db").read_bytes())
    whole[4096 : len(whole) // 2] = os.urandom(len(whole) // 2 - 4096)
    (copy / "danube.db").write_bytes(whole)
    with pytest.raises(Permanent) as refusal:
        back_up(copy, tmp_path / "backup", BackupOptions(), CLOCK)
    assert refusal.value.reference in {"database-corrupt", "database-not-copied"}
    assert (tmp_path / "backup").read_bytes() == former


async def test_a_backup_of_a_newer_server_is_refused_with_both_versions(original: Original, tmp_path: Path) -> None:
    await original.store.database.write(
        lambda connection: connection.execute("INSERT INTO schema_version VALUES (99, 0)") and None
    )
    back_up(original.path, tmp_path / "backup", BackupOptions(), CLOCK)
    with pytest.raises(Permanent, match="has schema 99, this program knows up to") as refusal:
        restore(tmp_path / "backup", tmp_path / "new", Openers(), CLOCK)
    assert refusal.value.reference == "backup-newer"
    assert not any((tmp_path / "new").iterdir())
