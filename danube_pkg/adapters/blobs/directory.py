"""Blobs of jobs as files: DIRECTORY/JOB/FILE. Uploads in progress are in DIRECTORY/.parts."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from danube_pkg.adapters.blobs.parts import Parts, ReceivedFile

READ_BYTES = 256 * 1024
"""Size of one piece of a download."""


class BlobDirectory:
    """`core.blobs.ports.JobBlobs`. kind: the prefix of error references, such as `artifact`."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._parts = Parts(directory / ".parts", kind)

    def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AbstractAsyncContextManager[ReceivedFile]:
        target = self._path(job_id, file_name)
        return self._parts.receive(file_name, chunks, limit_bytes, lambda _: target)

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
