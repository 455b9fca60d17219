"""Blobs on disk: whole under their name, or absent."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from danube_pkg.adapters.blobs.directory import READ_BYTES, BlobDirectory
from danube_pkg.core.errors import StorageFull, TooLarge
from danube_pkg.kit.tasks import end_all
from tests.support.waiting import wait_until_async

LIMIT = 1 << 20


@pytest.fixture
def blobs(tmp_path: Path) -> BlobDirectory:
    return BlobDirectory(tmp_path / "artifacts", "artifact")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def files_below(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


async def content_of(blobs: BlobDirectory, file_name: str, begin: int, end: int) -> bytes:
    return b"".join([piece async for piece in blobs.read("job", file_name, begin, end)])


async def test_a_kept_blob_has_its_size_and_hash(blobs: BlobDirectory, tmp_path: Path) -> None:
    content = os.urandom(700_000)
    async with blobs.receive("job", "a.tar.gz", chunks(content[:5], b"", content[5:]), LIMIT) as received:
        assert files_below(tmp_path / "artifacts" / "job") == []
        await received.keep()
    assert (received.size_bytes, received.sha256) == (len(content), sha256(content).hexdigest())
    assert await content_of(blobs, "a.tar.gz", 0, len(content)) == content
    assert files_below(tmp_path) == ["artifacts/job/a.tar.gz"]


async def test_a_part_of_a_blob_is_read_in_pieces(blobs: BlobDirectory) -> None:
    content = os.urandom(2 * READ_BYTES)
    async with blobs.receive("job", "a", chunks(content), LIMIT) as received:
        assert not blobs.has("job", "a")
        await received.keep()
    assert blobs.has("job", "a")
    pieces = [piece async for piece in blobs.read("job", "a", 10, READ_BYTES + 20)]
    assert [len(piece) for piece in pieces] == [READ_BYTES, 10]
    assert b"".join(pieces) == content[10 : READ_BYTES + 20]
    assert await content_of(blobs, "a", len(content) - 1, len(content) + 100) == content[-1:]


async def test_stores_of_two_kinds_do_not_share_files(blobs: BlobDirectory, tmp_path: Path) -> None:
    reports = BlobDirectory(tmp_path / "reports", "report")
    async with blobs.receive("job", "a", chunks(b"x"), LIMIT) as received:
        await received.keep()
    assert not reports.has("job", "a")
    with pytest.raises(TooLarge) as too_large:
        async with reports.receive("job", "a", chunks(b"xx"), 1):
            pass
    assert too_large.value.reference == "report-too-large"


async def test_a_blob_that_is_not_kept_leaves_no_file(blobs: BlobDirectory, tmp_path: Path) -> None:
    async with blobs.receive("job", "a", chunks(b"first"), LIMIT) as received:
        await received.keep()
    async with blobs.receive("job", "a", chunks(b"second"), LIMIT):
        pass
    assert files_below(tmp_path) == ["artifacts/job/a"]
    assert await content_of(blobs, "a", 0, 5) == b"first"


async def test_the_limit_is_exact(blobs: BlobDirectory, tmp_path: Path) -> None:
    async with blobs.receive("job", "a", chunks(b"x" * 60, b"x" * 40), 100) as received:
        assert received.size_bytes == 100
    with pytest.raises(TooLarge) as too_large:
        async with blobs.receive("job", "a", chunks(b"x" * 60, b"x" * 41), 100):
            pass
    assert too_large.value.reference == "artifact-too-large"
    assert files_below(tmp_path) == []


async def test_a_stream_that_breaks_or_is_cancelled_leaves_no_file(blobs: BlobDirectory, tmp_path: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"begin"
        started.set()
        await asyncio.Event().wait()

    async def torn() -> AsyncIterator[bytes]:
        yield b"begin"
        raise ConnectionResetError

    async def receive(stream: AsyncIterator[bytes]) -> None:
        async with blobs.receive("job", "a", stream, LIMIT):
            raise AssertionError("the stream never ends")

    with pytest.raises(ConnectionResetError):
        await receive(torn())
    task = asyncio.create_task(receive(endless()), name="upload")
    await wait_until_async(started.is_set, 10, "the upload to start")
    await end_all(task)
    assert files_below(tmp_path) == []


async def test_a_full_disk_is_reported(blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="no room for a") as full_disk:
        async with blobs.receive("job", "a", chunks(b"x"), LIMIT):
            pass
    assert full_disk.value.reference == "artifact-disk-full"
    assert files_below(tmp_path) == []


async def test_unfinished_uploads_are_removed_when_a_server_starts(tmp_path: Path) -> None:
    before = BlobDirectory(tmp_path, "artifact")
    upload = before.receive("job", "a", chunks(b"whole"), LIMIT)
    await upload.__aenter__()
    assert len(files_below(tmp_path)) == 1
    BlobDirectory(tmp_path, "artifact")
    assert files_below(tmp_path) == []
    await upload.__aexit__(None, None, None)
