"""Whether the data directory's file system can be written to, and how much room it has."""

import asyncio
import contextlib
import os
from pathlib import Path

from danube_pkg.core.health.readiness import DiskState
from danube_pkg.kit.records import replace

PROBE_BYTES = 4096
"""One block: an empty file may be created where no byte can be written."""


class DirectoryDisk:
    """`core.health.ports.Disk`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def state(self) -> DiskState:
        return await asyncio.to_thread(self._state)

    def room(self) -> DiskState:
        usage = os.statvfs(self._directory)
        return DiskState(
            free_bytes=usage.f_bavail * usage.f_frsize,
            total_bytes=usage.f_blocks * usage.f_frsize,
            free_inodes=usage.f_favail,
            total_inodes=usage.f_files,
        )

    def _state(self) -> DiskState:
        """Raises OSError where the disk cannot even be asked."""
        return replace(self.room(), problem=self._problem())

    def _problem(self) -> str:
        path = self._directory / ".write-probe"
        try:
            with path.open("wb") as file:
                file.write(b"\0" * PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return error.strerror or str(error)
        finally:
            with contextlib.suppress(OSError):  # a leftover is replaced by the next probe
                path.unlink(missing_ok=True)
        return ""
