"""Backup of a data directory, also of one that a server uses, and its restore into an empty directory.

The database is copied first and files after it, so that every file that a row names is in the backup, unless it was
removed meanwhile. A backup is written beside its name, verified by reading it, and then renamed. A restored directory
has its database last: one whose restore was interrupted is refused by a server.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from danube_pkg import __version__
from danube_pkg.adapters.backups.archive import FORMAT, BackupCounts, BackupHead, read_archive, write_archive
from danube_pkg.adapters.backups.encryption import Openers, decrypted, encrypted
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import Database
from danube_pkg.adapters.store.copies import (
    check_integrity,
    copy_database,
    mark_restored,
    schema_of,
    stored_value,
)
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.bootstrap.keys import DATABASE_NAME, FINGERPRINT
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.core.storage_errors import storage_error
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.directory_identity import read_identity
from danube_pkg.kit.files import sync_directory
from danube_pkg.kit.records import Record
from danube_pkg.kit.trees import remove_tree

INCLUDES = ("logs", "artifacts")
"""What is in a backup by choice: it can be much larger than the rest."""

WORK = ".restore"
"""Where files are until all of a backup was read and checked."""


class BackupOptions(Record):
    """recipients: of age; with neither them nor a passphrase the backup is not encrypted."""

    includes: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    passphrase_file: str = ""


class BackupResult(Record):
    """size_bytes: of the backup's file."""

    head: BackupHead
    counts: BackupCounts
    size_bytes: int


class RestoreResult(Record):
    """ended_jobs: how many jobs ran when the backup was made."""

    head: BackupHead
    counts: BackupCounts
    ended_jobs: int


def back_up(data: Path, target: Path, options: BackupOptions, clock: Clock) -> BackupResult:
    """Write a backup of a data directory to a file, and verify it. Raises Permanent, Invalid, StorageUnwritable."""
    database = data / DATABASE_NAME
    if not database.is_file():
        raise Permanent(
            "database-missing", f"there is no {database}", hint="name the server's data directory: --data DIR"
        )
    part, copy = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.db")
    with _storing(target):
        try:
            _copy(database, copy)
            head = BackupHead(FORMAT, __version__, schema_of(copy), clock.now(), _identity(data), options.includes)
            _check_key(copy, data / "keys")
            with _private(part) as out:
                counts, check = _write(out, head, _files(data, copy, options.includes), options)
                out.flush()
                os.fsync(out.fileno())
            _verify(part, head, counts, check)
            size = part.stat().st_size
            part.replace(target)
            sync_directory(target.absolute().parent)
        finally:
            part.unlink(missing_ok=True)
            copy.unlink(missing_ok=True)
    return BackupResult(head, counts, size)


def restore(source: Path, data: Path, openers: Openers, clock: Clock) -> RestoreResult:
    """Restore a backup into a directory that is empty or does not exist. Raises Permanent, Conflict, Invalid."""
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise Conflict(
            "restore-not-empty",
            f"{data} is not an empty directory",
            hint=f"name a new directory, or move this one away: mv {data} {data}.old",
        )
    work = data / WORK
    with _storing(data):
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        work.mkdir(mode=0o700)
        try:
            with source.open("rb") as file, decrypted(file, openers) as archive:
                head, counts = read_archive(archive, lambda name, head: _place(work, name, head))
            ended = _prepare(work, clock.now())
            _move(work, data)
        finally:
            remove_tree(work)
    return RestoreResult(head, counts, ended)


# --- writing


def _copy(database: Path, copy: Path) -> None:
    try:
        copy_database(database, copy)
    except sqlite3.Error as error:
        raise Permanent(
            "database-not-copied",
            f"{database} cannot be copied",
            cause=str(error),
            hint="check it: danube check-upgrade; check the free space of both disks: df",
        ) from error
    check_integrity(copy)


def _check_key(copy: Path, keys: Path) -> None:
    """Raises Permanent for a key that is missing, unreadable, or not that of the database."""
    found, wanted = Keys.read(keys).fingerprint, stored_value(copy, FINGERPRINT)
    if wanted and wanted != found:
        raise Permanent(
            "key-changed",
            f"{keys / 'encryption.key'} is not the key of this database",
            cause="a backup with another key could decrypt no secret",
            hint="put the right key there; the server says more: danube serve",
        )


def _files(data: Path, copy: Path, includes: Sequence[str]) -> Iterator[tuple[str, Path]]:
    yield DATABASE_NAME, copy
    for path in sorted((data / "keys").rglob("*")):  # retired signing keys are in a directory of their own
        if path.is_file():
            yield str(path.relative_to(data)), path
    if "logs" in includes:
        # An index is older than its log: what the log has beyond it is cut off when it is opened.
        for path in sorted(_entries(data / "logs"), key=lambda one: (one.stem, one.suffix != ".idx", one.suffix)):
            if path.suffix in (".log", ".idx", ".egress"):
                yield f"logs/{path.name}", path
    if "artifacts" in includes:
        for job in sorted(_entries(data / "artifacts")):
            for path in sorted(_entries(job)) if not job.name.startswith(".") else ():
                yield f"artifacts/{job.name}/{path.name}", path


def _entries(directory: Path) -> list[Path]:
    """None where there is no such directory: a new server has none, and old artifacts may be removed meanwhile."""
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []


def _write(
    out: BinaryIO, head: BackupHead, files: Iterator[tuple[str, Path]], options: BackupOptions
) -> tuple[BackupCounts, Any]:
    if not options.recipients and not options.passphrase_file:
        return write_archive(out, head, files), None
    with encrypted(out, options.recipients, options.passphrase_file) as (stream, check):
        counts = write_archive(stream, head, files)
    return counts, check


def _verify(part: Path, head: BackupHead, counts: BackupCounts, check: Any) -> None:
    """Read the whole backup once more, from the disk."""
    with part.open("rb") as file, decrypted(file, Openers(), check) as archive:
        found = read_archive(archive, lambda name, head: _nowhere())
    if found != (head, counts):
        raise Permanent("backup-damaged", f"{part} is not what was written", hint=f"check the disk: df {part.parent}")


def _nowhere() -> BinaryIO:
    return open(os.devnull, "wb")


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        yield file


# --- restoring


def _place(work: Path, name: str, head: BackupHead) -> BinaryIO:
    """Raises Permanent before anything is written where this program cannot read the database."""
    if head.schema > len(MIGRATIONS):
        raise Permanent(
            "backup-newer",
            f"this backup has schema {head.schema}, this program knows up to {len(MIGRATIONS)}",
            cause=f"Danube {head.danube} made it, this is {__version__}",
            hint="restore it with that version or a newer one",
        )
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if name.startswith("keys/") else 0o750)
    mode = 0o640 if name.startswith(("logs/", "artifacts/")) else 0o600
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb")


def _prepare(work: Path, now: float) -> int:
    """Check what was read, bring the schema up to date, and let the server start paused. Returns how many jobs ran."""
    database = work / DATABASE_NAME
    if not database.is_file():
        raise Permanent("backup-damaged", "this backup has no database", hint="use another backup: danube restore FILE")
    check_integrity(database)
    _check_key(database, work / "keys")
    Database.migrate(database)
    return mark_restored(database, now)


def _move(work: Path, data: Path) -> None:
    """The database comes last."""
    for name in ("keys", *INCLUDES):
        if (work / name).is_dir():
            os.replace(work / name, data / name)
    for path in work.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    os.replace(work / DATABASE_NAME, data / DATABASE_NAME)
    sync_directory(data)


# --- both


def _identity(data: Path) -> str:
    found = read_identity(data)
    return found.id if found is not None else ""


@contextmanager
def _storing(target: Path) -> Iterator[None]:
    """Translates what the disk refuses."""
    try:
        yield
    except OSError as error:
        then = "nothing was changed"
        translated = storage_error(error, "backup", str(target), str(target.absolute().parent), then=then)
        if translated is not None:
            raise translated from error
        raise Permanent(
            "backup-failed",
            f"{error.filename or target} cannot be used",
            cause=error.strerror or str(error),
            hint=f"check owner and mode: ls -ld {target.absolute().parent}",
        ) from error
