"""A lock of a directory, so that only one process uses it: advisory locks that the kernel releases with the process.

Both the directory and a file in it are locked. The file has the process id of the holder and works on every file
system; the directory's lock still holds when the file is removed.
"""

import errno
import fcntl
import os
from pathlib import Path

_NO_DIRECTORY_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""Network file systems lock files only: flock(2) on NFS needs a descriptor that is open for writing."""


class Locked(Exception):
    """Another process holds the lock. holder: its process id, 0 where it is not known."""

    def __init__(self, path: Path, holder: int) -> None:
        super().__init__(f"{path} is held by process {holder}")
        self.holder = holder


class DirectoryLock:
    """A lock that is held from construction to `release`. path: of the file in the directory. Raises Locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _lock_directory(self._directory)
        except BlockingIOError as error:
            text = os.pread(self._file, 20, 0)
            self.release()
            raise Locked(path, int(text) if text.strip().isdigit() else 0) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def problem(self) -> str:
        """Why the lock protects the path no longer, "" while it does: the file or a directory was removed, renamed,
        replaced, or is hidden by a mount."""
        for descriptor, path in ((self._directory, self._path.parent), (self._file, self._path)):
            try:
                found = path.stat()
            except OSError as error:
                return f"{path}: {error.strerror}"
            held = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
                return f"{path} is not the one that this process opened"
        return ""

    def release(self) -> None:
        os.close(self._file)
        os.close(self._directory)


def _lock_directory(descriptor: int) -> None:
    """Raises BlockingIOError where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_LOCKS:
            raise
