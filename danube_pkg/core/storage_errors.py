"""The errors of a file system by their cause: no room (free some), or a disk that is read-only or fails (look there).

Each is retryable: what was to be written is kept, and the writer tries again.
"""

import errno
import os
from pathlib import Path

from danube_pkg.core.errors import StorageFailing, StorageFull, StorageUnwritable
from danube_pkg.kit.full_disk import is_full, lacking

FAILING = frozenset({errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EPERM})
"""Read-only (also after `errors=remount-ro`), broken, a network file system that went, an immutable file."""


def storage_error(error: OSError, kind: str, file: str, directory: str, *, then: str) -> StorageUnwritable | None:
    """The error that callers get; None for one that is not the disk's. kind: the beginning of the reference, such as
    `log`. then: what happens meanwhile, as a clause."""
    if is_full(error):
        lacks = lacking(Path(directory))
        shown = f"df {'-i ' if lacks == 'inodes' else ''}{directory}"
        return StorageFull(
            f"{kind}-disk-full",
            f"there is no room for {file}",
            cause=f"no {lacks} left: {error}",
            hint=f"free {lacks} on the file system of {directory} ({shown}); {then}",
        )
    if error.errno in FAILING:
        return failing(f"{kind}-disk-failing", file, directory, cause=str(error), then=then)
    return None


def failing(reference: str, file: str, directory: str, *, cause: str, then: str) -> StorageFailing:
    """The error for a disk that does not take writes, though it has room."""
    return StorageFailing(
        reference,
        f"the disk does not take writes of {file}",
        cause=cause,
        hint=f"check the disk of {directory} (journalctl -k; findmnt -T {directory}), and remount or replace it; "
        f"{then}",
    )


def is_read_only(directory: str) -> bool:
    """Whether the file system is mounted read-only now. Raises OSError."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
