"""Artifacts on disk: whole under their name, or not there."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from danube_pkg.adapters.blobs.directory import ArtifactDirectory
from danube_pkg.core.errors import StorageFull, TooLarge
from danube_pkg.kit.tasks import end_all
from tests.support.waiting import wait_until_async

LIMIT = 1 << 20


@pytest.fixture
def files(tmp_path: Path) -> ArtifactDirectory:
    return ArtifactDirectory(tmp_path / "artifacts")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def everything_below(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


async def test_what_is_kept_is_there_with_its_size_and_hash(files: ArtifactDirectory, tmp_path: Path) -> None:
    content = os.urandom(700_000)
    async with files.receive("job", "a.tar.gz", chunks(content[:5], b"", content[5:]), LIMIT) as received:
        assert everything_below(tmp_path / "artifacts" / "job") == []
        await received.keep()
    assert (received.size_bytes, received.sha256) == (len(content), sha256(content).hexdigest())
    assert Path(files.open_path("job", "a.tar.gz")).read_bytes() == content
    assert everything_below(tmp_path) == ["artifacts/job/a.tar.gz"]


async def test_what_is_not_kept_leaves_nothing(files: ArtifactDirectory, tmp_path: Path) -> None:
    async with files.receive("job", "a", chunks(b"first"), LIMIT) as received:
        await received.keep()
    async with files.receive("job", "a", chunks(b"second"), LIMIT):
        pass
    assert everything_below(tmp_path) == ["artifacts/job/a"]
    assert Path(files.open_path("job", "a")).read_bytes() == b"first"


async def test_the_limit_is_kept_to_the_byte(files: ArtifactDirectory, tmp_path: Path) -> None:
    async with files.receive("job", "a", chunks(b"x" * 60, b"x" * 40), 100) as received:
        assert received.size_bytes == 100
    with pytest.raises(TooLarge):
        async with files.receive("job", "a", chunks(b"x" * 60, b"x" * 41), 100):
            pass
    assert everything_below(tmp_path) == []


async def test_a_stream_that_breaks_or_is_given_up_leaves_nothing(files: ArtifactDirectory, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"begin"
        begun.set()
        await asyncio.Event().wait()

    async def torn() -> AsyncIterator[bytes]:
        yield b"begin"
        raise ConnectionResetError

    async def receive(stream: AsyncIterator[bytes]) -> None:
        async with files.receive("job", "a", stream, LIMIT):
            raise AssertionError("it never arrives whole")

    with pytest.raises(ConnectionResetError):
        await receive(torn())
    task = asyncio.create_task(receive(endless()), name="upload")
    await wait_until_async(begun.is_set, 10, "the upload to begin")
    await end_all(task)
    assert everything_below(tmp_path) == []


async def test_a_full_disk_says_so(files: ArtifactDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="no room for a"):
        async with files.receive("job", "a", chunks(b"x"), LIMIT):
            pass
    assert everything_below(tmp_path) == []


async def test_a_starting_server_removes_what_its_predecessor_did_not_finish(tmp_path: Path) -> None:
    before = ArtifactDirectory(tmp_path)
    upload = before.receive("job", "a", chunks(b"whole"), LIMIT)
    await upload.__aenter__()
    assert len(everything_below(tmp_path)) == 1
    ArtifactDirectory(tmp_path)
    assert everything_below(tmp_path) == []
    await upload.__aexit__(None, None, None)
