"""Atomic writing of files: written to a temporary file, synced, renamed."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600, survives_power_failure: bool = True) -> None:
    """Replace a file's content, so that after a crash at any time it has either the old or the new content.

    survives_power_failure: False for what describes running processes, which no power failure leaves. Then nothing
    waits for the disk: the end of this process cannot harm the file, but after a power failure it may be empty.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if survives_power_failure:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if survives_power_failure:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and new names in a directory durable across a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(*paths: Path) -> None:
    """Make what was written to files so far durable across a power failure, by whichever process; those that do not
    exist are left out."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
