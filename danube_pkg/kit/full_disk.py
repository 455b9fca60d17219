"""What a full disk lacks: space, or inodes for further files. The kernel has one error for both (write(2), open(2))."""

import contextlib
import errno
import os
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""No space or no inodes, of the disk or of the user's quota."""


def is_full(error: BaseException) -> bool:
    """Whether an operation failed because a disk or a quota is used up."""
    return isinstance(error, OSError) and error.errno in FULL


def lacking(directory: Path) -> str:
    """`inodes` if the file system has none left for this process, else `space`."""
    with contextlib.suppress(OSError):
        found = os.statvfs(directory)
        if found.f_files and not found.f_favail:
            return "inodes"
    return "space"
