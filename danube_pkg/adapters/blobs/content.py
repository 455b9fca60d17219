"""Blobs by their content as files: DIRECTORY/ab/SHA256. Uploads in progress are in DIRECTORY/.parts."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import sha256 as new_hash
from pathlib import Path

from danube_pkg.adapters.blobs.parts import Parts, ReceivedFile
from danube_pkg.core.errors import Permanent

READ_BYTES = 1024**2


class ContentDirectory:
    """`core.blobs.ports.ContentBlobs`. kind: the prefix of error references, such as `cache`."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self._parts = Parts(directory / ".parts", kind)

    def receive(
        self, label: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AbstractAsyncContextManager[ReceivedFile]:
        return self._parts.receive(label, chunks, limit_bytes, self._path)

    async def read(self, sha256: str) -> AsyncGenerator[bytes, None]:
        hash_ = new_hash()
        try:
            with self._path(sha256).open("rb") as file:
                held = await asyncio.to_thread(file.read, READ_BYTES)
                while held:
                    hash_.update(held)
                    following = await asyncio.to_thread(file.read, READ_BYTES)
                    if following:
                        yield held
                    else:
                        break
                    held = following
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        if hash_.hexdigest() != sha256:
            raise self._damaged("its content has another hash than its name")
        yield held

    async def remove(self, sha256: str) -> None:
        await asyncio.to_thread(self._path(sha256).unlink, missing_ok=True)

    async def list_older(self, seconds: float) -> Sequence[str]:
        return await asyncio.to_thread(self._older, time.time() - seconds)

    def _older(self, before: float) -> Sequence[str]:
        files = (file for part in self._directory.glob("[0-9a-f][0-9a-f]") for file in part.iterdir())
        return [file.name for file in files if file.stat().st_mtime < before]

    def _damaged(self, cause: str) -> Permanent:
        return Permanent(
            f"{self._kind}-damaged",
            f"the stored {self._kind} cannot be used",
            cause=cause,
            hint="check the disk: journalctl -k",
        )

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256
