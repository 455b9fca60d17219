"""Ports of artifacts: their records, and the files that hold their bytes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from danube_pkg.core.artifacts.artifact import Artifact


class ArtifactStore(Protocol):
    """The records of artifacts; the bytes are the `ArtifactFiles` adapter's."""

    async def add_artifact(self, artifact: Artifact) -> None:
        """Idempotent by (job, name) when the content hash is the same; another content is a `Conflict`."""
        ...

    async def list_artifacts(self, job_id: str) -> Sequence[Artifact]: ...
    async def load_artifact(self, job_id: str, name: str) -> Artifact | None: ...


class ReceivedArtifact(Protocol):
    """Bytes that have arrived whole and are on disk, not yet under their name."""

    @property
    def size_bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...

    async def keep(self) -> None:
        """Give them their name, in place of what had it before. Raises StorageFull."""
        ...


class ArtifactFiles(Protocol):
    """Artifact bytes below `artifacts/<job_id>/`: written apart, fsynced, renamed when they are to be kept."""

    def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AbstractAsyncContextManager[ReceivedArtifact]:
        """Take in a stream; what was not kept when the block is left is gone, also after a crash. Raises TooLarge, StorageFull."""
        ...

    def open_path(self, job_id: str, file_name: str) -> str: ...
