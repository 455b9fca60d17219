"""The gate in front of the queue: no job starts on a disk without room, where it would fail or harm running ones."""

from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.ports import Disk
from danube_pkg.core.health.readiness import of_disk_state, of_low_disk


class DiskRoom:
    """The room of the data directory's disk. It is read at each use, which takes microseconds."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory

    def obstacle(self) -> Condition | None:
        """Why no job can start; None where the disk has room, and where it cannot be read: its check reports that."""
        try:
            return of_disk_state(self._disk.room(), self._directory)
        except OSError:
            return None

    async def conditions(self) -> tuple[Condition, ...]:
        """A disk that is low: jobs still start, and it is time to clean up."""
        try:
            found = of_low_disk(self._disk.room(), self._directory)
        except OSError:
            return ()
        return (found,) if found is not None else ()

    def free_bytes(self) -> int:
        """0 where the disk cannot be read."""
        try:
            return self._disk.room().free_bytes
        except OSError:
            return 0

    def has_room(self) -> bool:
        """Whether no clean-up is needed."""
        try:
            return of_low_disk(self._disk.room(), self._directory) is None
        except OSError:
            return True
