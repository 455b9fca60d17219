"""A layer on its way to the disk: hashed as it comes, named only when it is what was asked for."""

import fcntl
import hashlib
import os
from pathlib import Path

from danube_pkg.core.images.reference import ImageUnavailable


class BlobFile:
    """One file that grows at its end. Its lock says that somebody is at work; `close` removes it unless it was kept."""

    def __init__(self, path: Path, target: Path, digest: str, size: int) -> None:
        self._path = path
        self._target = target
        self._digest = digest
        self.size = size
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._hash = hashlib.sha256()
        self.written = 0

    def write(self, data: bytes) -> None:
        """Blocks for the disk: call it in a thread. Raises ImageUnavailable when more comes than was promised."""
        if self.written + len(data) > self.size:
            raise ImageUnavailable(
                f"layer {self._digest} is larger than its manifest says",
                cause=f"more than {self.size} bytes came",
                hint="push the image again",
            )
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.written += len(data)

    def restart(self) -> None:
        """From the beginning, for a server that does not continue."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.written = 0

    def check(self) -> None:
        """The sender says that it is all: whether it is what was asked for. Raises ImageUnavailable."""
        if self.written < self.size:
            raise ImageUnavailable(
                f"layer {self._digest} is smaller than its manifest says",
                cause=f"{self.written} of {self.size} bytes came",
                hint="push the image again",
            )
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise ImageUnavailable(
                f"layer {self._digest} was changed on its way or in the registry",
                cause=f"what came has the digest {found}",
                hint="push the image again; if that does not help, check the registry's storage and what lies in between",
            )

    def keep(self) -> Path:
        """Give it its name. Raises ImageUnavailable like `check`.

        It is not brought to the disk first: what a power failure does to it is seen when it is unpacked.
        """
        self.check()
        os.replace(self._path, self._target)
        return self._target

    def close(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)
