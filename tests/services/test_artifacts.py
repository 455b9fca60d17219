"""Artifacts: the record and the bytes are always of the same upload."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.blobs.directory import ArtifactDirectory
from danube_pkg.adapters.store import SqliteArtifacts
from danube_pkg.core.errors import Conflict, Invalid, NotFound
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.artifacts import Artifacts
from tests.services.stores import UnrulyJobs, a_job, open_database

JOB = a_job()


class Shelf:
    """The service over the real store and files."""

    def __init__(self, path: Path, artifacts: Artifacts) -> None:
        self.path = path
        self.artifacts = artifacts

    async def upload(self, content: bytes, name: str = "report", *, wanted: bool = True) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 3):
                yield content[at : at + 3]

        def check_wanted() -> None:
            if not wanted:
                raise Conflict("job-ending", "the job is ending")

        await self.artifacts.receive(JOB, name, name, chunks(), check_wanted)

    async def kept(self, name: str = "report") -> bytes:
        """The bytes, which are those of the record."""
        artifact = await self.artifacts.find(JOB.id, name)
        content = (self.path / "artifacts" / JOB.id / name).read_bytes()
        assert (artifact.size_bytes, artifact.sha256) == (len(content), sha256(content).hexdigest())
        return content


@pytest_asyncio.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        ids = iter(f"artifact-{number}" for number in range(1000))
        files = ArtifactDirectory(tmp_path / "artifacts")
        yield Shelf(tmp_path, Artifacts(SqliteArtifacts(database), files, SystemClock(), lambda: next(ids)))


async def test_the_same_upload_twice_is_one_artifact(shelf: Shelf) -> None:
    await shelf.upload(b"content")
    first = await shelf.artifacts.find(JOB.id, "report")
    await shelf.upload(b"content")
    assert await shelf.artifacts.find(JOB.id, "report") == first
    assert await shelf.kept() == b"content"
    assert list(await shelf.artifacts.list(JOB.id)) == [first]


async def test_another_content_under_the_name_changes_nothing(shelf: Shelf) -> None:
    await shelf.upload(b"content")
    with pytest.raises(Conflict, match="another content"):
        await shelf.upload(b"something else")
    assert await shelf.kept() == b"content"


async def test_of_many_at_once_one_is_kept_with_its_own_record(shelf: Shelf) -> None:
    contents = [b"content %d" % number * (number + 1) for number in range(12)]
    ends = await asyncio.gather(*map(shelf.upload, contents), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["Conflict"] * 11 + ["NoneType"]
    assert await shelf.kept() == contents[ends.index(None)]


async def test_bytes_that_were_kept_without_a_record_give_way(shelf: Shelf) -> None:
    """The server died between the two; the coordinator repeats its upload, perhaps with other bytes."""
    place = shelf.path / "artifacts" / JOB.id
    place.mkdir()
    (place / "report").write_bytes(b"of the dead")
    await shelf.upload(b"content")
    assert await shelf.kept() == b"content"


async def test_a_job_that_began_to_end_meanwhile_keeps_nothing(shelf: Shelf) -> None:
    with pytest.raises(Conflict, match="ending"):
        await shelf.upload(b"content", wanted=False)
    with pytest.raises(NotFound):
        await shelf.artifacts.find(JOB.id, "report")
    assert not (shelf.path / "artifacts" / JOB.id).exists()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "x" * 129, "two words", "-dash"])
async def test_a_name_that_could_lead_elsewhere_is_refused(shelf: Shelf, name: str) -> None:
    with pytest.raises(Invalid, match="cannot name an artifact"):
        await shelf.upload(b"content", name)
