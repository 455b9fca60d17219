"""A lock file, so that only one process uses a directory: an advisory lock that the kernel releases with the
process."""

import fcntl
import os
from pathlib import Path


class Locked(Exception):
    """Another process holds the lock. holder: its process id, 0 where it is not known."""

    def __init__(self, path: Path, holder: int) -> None:
        super().__init__(f"{path} is held by process {holder}")
        self.holder = holder


class FileLock:
    """A lock that is held from construction to `release`. Raises Locked."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = os.pread(self._descriptor, 20, 0)
            os.close(self._descriptor)
            raise Locked(path, int(text) if text.strip().isdigit() else 0) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)
