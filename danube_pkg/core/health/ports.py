"""Ports of the server's health."""

from typing import Protocol

from danube_pkg.core.health.readiness import DiskState


class Disk(Protocol):
    """The file system of the data directory."""

    async def state(self) -> DiskState:
        """Room and a real write. Raises OSError."""
        ...


class WritableStore(Protocol):
    """The database, written to and not only read: `core.jobs.ports.ServerState` is one."""

    async def remember(self, name: str, value: str) -> None:
        """Raises PlatformError."""
        ...
