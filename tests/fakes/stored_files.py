"""The fake of `core.retention.ports.StoredFiles`: files of jobs without a disk."""

from collections.abc import Sequence

from danube_pkg.core.retention.plan import FileKind, JobFiles, Removal


class Killed(Exception):
    """The server is killed while it removes files."""


class VirtualDisk:
    """The sizes of files in memory. kill_after: removals until the server is killed; -1 for never."""

    def __init__(self) -> None:
        self.sizes: dict[tuple[str, FileKind], int] = {}
        self.kill_after = -1

    def used(self, kind: FileKind) -> int:
        return sum(size for (_, one), size in self.sizes.items() if one is kind)

    async def list_files(self) -> Sequence[JobFiles]:
        return [JobFiles(job, kind, size) for (job, kind), size in self.sizes.items()]

    async def remove(self, removals: Sequence[Removal]) -> Sequence[Removal]:
        for one in removals:
            if self.kill_after == 0:
                self.kill_after = -1
                raise Killed
            self.kill_after -= self.kill_after > 0
            self.sizes.pop((one.job_id, one.kind), None)
        return []
