"""Receives a blob: written apart, hashed, fsynced; its name comes in one step, when it is kept."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from danube_pkg.core.errors import TooLarge
from danube_pkg.core.storage_errors import storage_error
from danube_pkg.kit.files import sync_directory
from danube_pkg.kit.records import Record
from danube_pkg.kit.trees import remove_tree


class ReceivedFile(Record):
    """`core.blobs.ports.ReceivedBlob`."""

    size_bytes: int
    sha256: str
    kind: str
    part: Path
    target: Path

    async def keep(self) -> None:
        with translated(self.kind, self.target):
            self.target.parent.mkdir(exist_ok=True, mode=0o750)
            os.replace(self.part, self.target)
            await asyncio.to_thread(sync_directory, self.target.parent)


class Parts:
    """Uploads in progress, in a directory that is emptied when a server starts: no other process writes there. kind:
    the prefix of error references, such as `artifact`."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        for unfinished in directory.iterdir():
            remove_tree(unfinished)

    @asynccontextmanager
    async def receive(
        self, label: str, chunks: AsyncIterator[bytes], limit_bytes: int, target_of: Callable[[str], Path]
    ) -> AsyncIterator[ReceivedFile]:
        """See `core.blobs.ports`. label: its name in messages. target_of: where a content of that SHA-256 is kept."""
        part = self._directory / os.urandom(12).hex()
        size, hash_ = 0, sha256()
        try:
            with translated(self._kind, self._directory / label), part.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit_bytes:
                        raise TooLarge(
                            f"{self._kind}-too-large",
                            f"{label} is larger than {limit_bytes} bytes",
                            hint="upload less, or push it to a registry or an object store",
                        )
                    hash_.update(chunk)
                    file.write(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            digest = hash_.hexdigest()
            yield ReceivedFile(size, digest, self._kind, part, target_of(digest))
        finally:
            with suppress(OSError):  # unfinished parts are removed at the next start
                part.unlink(missing_ok=True)


@contextmanager
def translated(kind: str, file: Path) -> Iterator[None]:
    """Errors of the disk as the platform's own."""
    try:
        yield
    except OSError as error:
        # The file's own directory may not exist yet.
        found = storage_error(error, kind, file.name, str(file.parent.parent), then="the upload is repeated")
        if found is None:
            raise
        raise found from error
