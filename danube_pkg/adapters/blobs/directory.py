"""Artifact bytes: `artifacts/<job_id>/<file>`, written apart, fsynced, renamed; a torn upload leaves nothing.

What is not whole yet lies in `artifacts/.parts/`, which a starting server empties: nobody else works on its directory.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path

from danube_pkg.core.errors import StorageFull, TooLarge
from danube_pkg.kit.files import sync_directory
from danube_pkg.kit.records import Record

_FULL = (errno.ENOSPC, errno.EDQUOT)


class ReceivedFile(Record):
    """`core.artifacts.ports.ReceivedArtifact`."""

    size_bytes: int
    sha256: str
    part: Path
    target: Path

    async def keep(self) -> None:
        """Rename it, durably."""
        with _translated(self.target.name):
            self.target.parent.mkdir(exist_ok=True, mode=0o750)
            os.replace(self.part, self.target)
            await asyncio.to_thread(sync_directory, self.target.parent)


class ArtifactDirectory:
    """`core.artifacts.ports.ArtifactFiles`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parts = directory / ".parts"
        self._parts.mkdir(parents=True, exist_ok=True, mode=0o750)
        for left in self._parts.iterdir():
            left.unlink()

    @asynccontextmanager
    async def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AsyncIterator[ReceivedFile]:
        part = self._parts / f"{job_id}.{os.urandom(6).hex()}"
        size, hash_ = 0, sha256()
        try:
            with _translated(file_name), part.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit_bytes:
                        raise TooLarge(
                            "artifact-too-large",
                            f"{file_name} is larger than {limit_bytes} bytes",
                            hint="upload less, or push it to a registry or an object store",
                        )
                    hash_.update(chunk)
                    file.write(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            yield ReceivedFile(size, hash_.hexdigest(), part, self._directory / job_id / file_name)
        finally:
            part.unlink(missing_ok=True)

    def open_path(self, job_id: str, file_name: str) -> str:
        return str(self._directory / job_id / file_name)


@contextmanager
def _translated(file_name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(
            "artifact-disk-full",
            f"there is no room for {file_name}",
            cause=str(error),
            hint="free space on the file system of the data directory; the upload is repeated",
        ) from error
