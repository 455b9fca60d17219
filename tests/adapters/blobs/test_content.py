"""Blobs by their content: whole under their hash, or refused."""

import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from danube_pkg.adapters.blobs.content import READ_BYTES, ContentDirectory
from danube_pkg.core.errors import Permanent, TooLarge


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def kept(blobs: ContentDirectory, content: bytes) -> str:
    async with blobs.receive("cache pip", chunks(content), 10**9) as received:
        await received.keep()
    return received.sha256


async def read(blobs: ContentDirectory, digest: str) -> tuple[bytes, str]:
    """What came, and the reference of the error that ended it."""
    found = b""
    try:
        async for piece in blobs.read(digest):
            found += piece
    except Permanent as error:
        return found, error.reference
    return found, ""


@pytest.mark.parametrize("size", [0, 1, READ_BYTES, READ_BYTES + 1, 3 * READ_BYTES])
async def test_what_was_kept_is_read(tmp_path: Path, size: int) -> None:
    blobs, content = ContentDirectory(tmp_path, "cache"), os.urandom(size)
    digest = await kept(blobs, content)
    assert digest == sha256(content).hexdigest()
    assert await kept(blobs, content) == digest
    assert await read(blobs, digest) == (content, "")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [digest]


@pytest.mark.parametrize("size", [1, READ_BYTES, 2 * READ_BYTES + 5])
async def test_the_end_of_a_damaged_blob_never_comes(tmp_path: Path, size: int) -> None:
    blobs, content = ContentDirectory(tmp_path, "cache"), os.urandom(size)
    digest = await kept(blobs, content)
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    found, reference = await read(blobs, digest)
    assert (reference, len(found) < size) == ("cache-damaged", True)
    file.write_bytes(content[:-1])
    found, reference = await read(blobs, digest)
    assert (reference, len(found) < size) == ("cache-damaged", True)
    file.unlink()
    assert await read(blobs, digest) == (b"", "cache-damaged")
    assert await kept(blobs, content) == digest
    assert await read(blobs, digest) == (content, "")


async def test_too_large_a_stream_and_a_killed_writer_leave_nothing(tmp_path: Path) -> None:
    blobs = ContentDirectory(tmp_path, "cache")
    with pytest.raises(TooLarge):
        async with blobs.receive("cache pip", chunks(b"12", b"3"), 2):
            pass
    async with blobs.receive("cache pip", chunks(b"1"), 2):
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    (tmp_path / ".parts" / "of-a-killed-server").write_bytes(b"x")
    ContentDirectory(tmp_path, "cache")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_old_blobs_are_listed_and_removed(tmp_path: Path) -> None:
    blobs = ContentDirectory(tmp_path, "cache")
    digest = await kept(blobs, b"x")
    assert await blobs.list_older(60) == []
    assert await blobs.list_older(-60) == [digest]
    await blobs.remove(digest)
    await blobs.remove(digest)
    assert await blobs.list_older(-60) == []
