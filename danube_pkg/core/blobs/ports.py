"""Ports for bytes: those that belong to a job, such as its artifacts, and those that are named by their content."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class ReceivedBlob(Protocol):
    """A blob that was received whole and is durable on disk, but does not have its name yet."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def sha256(self) -> str:
        """Hexadecimal digits."""
        ...

    async def keep(self) -> None:
        """Names it, durably and in one step. Replaces a blob of the same name. Raises StorageFull."""
        ...


class JobBlobs(Protocol):
    """The blobs of one kind, by job and file name. Callers decide which names are valid and when one is replaced."""

    def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AbstractAsyncContextManager[ReceivedBlob]:
        """Receives a stream. A blob that was not kept when the block ends is removed, also after a crash.

        Raises TooLarge for more than `limit_bytes` bytes, StorageFull.
        """
        ...

    def has(self, job_id: str, file_name: str) -> bool: ...

    def read(self, job_id: str, file_name: str, begin: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from offset `begin` up to `end`, in pieces. The blob is opened with the first one."""
        ...


class ContentBlobs(Protocol):
    """Blobs by the SHA-256 of their content, in hexadecimal digits."""

    def receive(
        self, label: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AbstractAsyncContextManager[ReceivedBlob]:
        """As `JobBlobs.receive`. label: what it is, for messages."""
        ...

    def read(self, sha256: str) -> AsyncGenerator[bytes, None]:
        """The bytes in pieces. The last piece comes only after the whole content was compared with its name: a reader
        that needs the end never accepts a damaged blob. Raises Permanent `…-damaged`, also for a blob that is
        missing."""
        ...

    async def remove(self, sha256: str) -> None: ...

    async def list_older(self, seconds: float) -> Sequence[str]:
        """The blobs that were named before so many seconds."""
        ...
