"""Blobs of jobs as files: DIRECTORY/JOB/FILE, written apart, hashed, fsynced, renamed.

Uploads in progress are in DIRECTORY/.parts, which is emptied when a server starts: no other process writes there.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from danube_pkg.core.errors import TooLarge
from danube_pkg.core.storage_errors import storage_error
from danube_pkg.kit.files import sync_directory
from danube_pkg.kit.records import Record
from danube_pkg.kit.trees import remove_tree

READ_BYTES = 256 * 1024
"""Size of one piece of a download."""


class ReceivedFile(Record):
    """`core.blobs.ports.ReceivedBlob`."""

    size_bytes: int
    sha256: str
    kind: str
    part: Path
    target: Path

    async def keep(self) -> None:
        with _translated(self.kind, self.target):
            self.target.parent.mkdir(exist_ok=True, mode=0o750)
            os.replace(self.part, self.target)
            await asyncio.to_thread(sync_directory, self.target.parent)


class BlobDirectory:
    """`core.blobs.ports.JobBlobs`. kind: the prefix of error references, such as `artifact`."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self._parts = directory / ".parts"
        self._parts.mkdir(parents=True, exist_ok=True, mode=0o750)
        for unfinished in self._parts.iterdir():
            remove_tree(unfinished)

    @asynccontextmanager
    async def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AsyncIterator[ReceivedFile]:
        part = self._parts / f"{job_id}.{os.urandom(6).hex()}"
        size, hash_ = 0, sha256()
        try:
            with _translated(self._kind, self._path(job_id, file_name)), part.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit_bytes:
                        raise TooLarge(
                            f"{self._kind}-too-large",
                            f"{file_name} is larger than {limit_bytes} bytes",
                            hint="upload less, or push it to a registry or an object store",
                        )
                    hash_.update(chunk)
                    file.write(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            yield ReceivedFile(size, hash_.hexdigest(), self._kind, part, self._path(job_id, file_name))
        finally:
            with suppress(OSError):  # unfinished parts are removed at the next start
                part.unlink(missing_ok=True)

    def has(self, job_id: str, file_name: str) -> bool:
        return self._path(job_id, file_name).is_file()

    async def read(self, job_id: str, file_name: str, begin: int, end: int) -> AsyncIterator[bytes]:
        with self._path(job_id, file_name).open("rb") as file:
            file.seek(begin)
            while begin < end and (chunk := file.read(min(READ_BYTES, end - begin))):
                yield chunk
                begin += len(chunk)

    def _path(self, job_id: str, file_name: str) -> Path:
        return self._directory / job_id / file_name


@contextmanager
def _translated(kind: str, file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The job's own directory may not exist yet.
        translated = storage_error(error, kind, file.name, str(file.parent.parent), then="the upload is repeated")
        if translated is None:
            raise
        raise translated from error
