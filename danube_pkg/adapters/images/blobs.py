"""A layer that is downloaded to disk: hashed as it arrives, and named only if it has the requested digest."""

import fcntl
import hashlib
import os
from pathlib import Path

from danube_pkg.core.images.reference import ImageUnavailable


class BlobFile:
    """`core.images.ports.LayerFile`. The file is locked while it is written; `close` removes it unless it was kept."""

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
        """Blocks for the disk: call it in a thread. Raises ImageUnavailable for more bytes than expected."""
        if self.written + len(data) > self.size:
            raise ImageUnavailable(
                f"layer {self._digest} is larger than its manifest says",
                cause=f"more than {self.size} bytes were received",
                hint="push the image again",
            )
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.written += len(data)

    def restart(self) -> None:
        """Discards everything, for a server that cannot resume."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.written = 0

    def check(self) -> None:
        """Checks size and digest of the complete download. Raises ImageUnavailable."""
        if self.written < self.size:
            raise ImageUnavailable(
                f"layer {self._digest} is smaller than its manifest says",
                cause=f"{self.written} of {self.size} bytes were received",
                hint="push the image again",
            )
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise ImageUnavailable(
                f"layer {self._digest} was changed in transit or in the registry",
                cause=f"the received content has the digest {found}",
                hint="push the image again; if that does not help, check the registry's storage and proxies",
            )

    def keep(self) -> Path:
        """Gives it its final name. Raises ImageUnavailable as `check` does.

        It is not synced first: damage by a power failure is found when it is unpacked.
        """
        self.check()
        os.replace(self._path, self._target)
        return self._target

    def close(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)
