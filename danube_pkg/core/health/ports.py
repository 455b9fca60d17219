"""Ports of the server's health."""

from typing import Protocol

from danube_pkg.core.health.readiness import DiskState


class Disk(Protocol):
    """The file system of the data directory."""

    async def state(self) -> DiskState:
        """Room and a real write. Raises OSError."""
        ...

    def room(self) -> DiskState:
        """Room alone, which takes microseconds. Raises OSError."""
        ...


class WritableStore(Protocol):
    """The database, written to and not only read: `core.jobs.ports.ServerState` is one."""

    async def remember(self, name: str, value: str) -> None:
        """Raises PlatformError."""
        ...


class KeyFiles(Protocol):
    """The files below `keys/`."""

    def check(self) -> None:
        """Raises Permanent for files that are missing, unusable or not those of the start; OSError. It blocks."""
        ...
