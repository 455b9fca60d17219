"""Artifacts: the record and the bytes are always of the same upload."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.blobs.directory import BlobDirectory
from danube_pkg.adapters.store import SqliteArtifacts
from danube_pkg.core.artifacts.artifact import ArtifactBounds
from danube_pkg.core.errors import Conflict, Invalid, NotFound, Permanent, TooLarge
from danube_pkg.core.provenance.sbom import MAX_SBOM_BYTES
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.artifacts import Artifacts
from tests.services.stores import UnrulyJobs, a_job, open_database

JOB = a_job()


class ArtifactSetup:
    """The service with the real store and real files."""

    def __init__(self, path: Path, artifacts: Artifacts) -> None:
        self.path = path
        self.artifacts = artifacts

    async def upload(self, content: bytes, name: str = "report", *, file_name: str = "", wanted: bool = True) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 3):
                yield content[at : at + 3]

        def check_wanted() -> None:
            if not wanted:
                raise Conflict("job-ending", "the job is ending")

        await self.artifacts.receive(JOB, name, file_name or name, chunks(), check_wanted)

    async def upload_sbom(self, content: bytes, describes: str = "report", *, is_image: bool = False) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 1024):
                yield content[at : at + 1024]

        await self.artifacts.receive_sbom(JOB, "bom.json", describes, chunks(), lambda: None, is_image=is_image)

    async def kept(self, name: str = "report") -> bytes:
        """The artifact's bytes, after a check against its record."""
        artifact = await self.artifacts.find(JOB.id, name)
        assert self.artifacts.has_bytes(artifact)
        content = b"".join([piece async for piece in self.artifacts.read(artifact, 0, artifact.size_bytes + 1)])
        assert content == (self.path / "artifacts" / JOB.id / artifact.file_name).read_bytes()
        assert (artifact.size_bytes, artifact.sha256) == (len(content), sha256(content).hexdigest())
        return content


@pytest_asyncio.fixture
async def setup(tmp_path: Path) -> AsyncIterator[ArtifactSetup]:
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        ids = iter(f"artifact-{number}" for number in range(1000))
        blobs = BlobDirectory(tmp_path / "artifacts", "artifact")
        bounds = ArtifactBounds(count=3, total_bytes=1000)
        artifacts = Artifacts(SqliteArtifacts(database), blobs, SystemClock(), lambda: next(ids), bounds=lambda: bounds)
        yield ArtifactSetup(tmp_path, artifacts)


async def test_the_same_upload_twice_is_one_artifact(setup: ArtifactSetup) -> None:
    await setup.upload(b"content")
    first = await setup.artifacts.find(JOB.id, "report")
    await setup.upload(b"content")
    assert await setup.artifacts.find(JOB.id, "report") == first
    assert await setup.kept() == b"content"
    assert list(await setup.artifacts.list(JOB.id)) == [first]


BOM = b'{"bomFormat": "CycloneDX", "specVersion": "1.6"}'


async def test_an_sbom_is_an_artifact_that_names_its_subject(setup: ArtifactSetup) -> None:
    await setup.upload(b"content")
    await setup.upload_sbom(BOM)
    await setup.upload_sbom(BOM)
    found = await setup.artifacts.find(JOB.id, "bom.json")
    assert (found.describes, found.file_name) == ("report", "bom.json")
    assert (await setup.artifacts.read_sbom(found)).title == "CycloneDX 1.6"
    with pytest.raises(Conflict):
        await setup.upload(BOM, "bom.json")
    (setup.path / "artifacts" / JOB.id / "bom.json").write_bytes(BOM + b" ")
    with pytest.raises(Permanent, match=r"bom\.json of the job cannot be signed"):
        await setup.artifacts.read_sbom(found)


async def test_an_sbom_needs_a_subject_of_its_job_and_a_known_form(setup: ArtifactSetup) -> None:
    with pytest.raises(Invalid, match="neither an artifact nor a pushed image 'report'"):
        await setup.upload_sbom(BOM)
    await setup.upload_sbom(BOM, "registry.test/app:1", is_image=True)
    await setup.upload(b"content")
    with pytest.raises(Invalid, match="neither a CycloneDX"):
        await setup.upload_sbom(b"{}")
    with pytest.raises(TooLarge):
        await setup.upload_sbom(BOM.ljust(MAX_SBOM_BYTES + 1))


async def test_after_a_refused_sbom_the_artifact_is_kept_and_the_same_call_completes_it(setup: ArtifactSetup) -> None:
    """`artifacts.upload(PATH, name=…, sbom=…)` keeps the artifact, then the SBOM."""
    await setup.upload(b"content")
    with pytest.raises(Invalid):
        await setup.upload_sbom(b"{}")
    assert [one.name for one in await setup.artifacts.list(JOB.id)] == ["report"]
    await setup.upload(b"content")
    await setup.upload_sbom(BOM)
    assert [(one.name, one.describes) for one in await setup.artifacts.list(JOB.id)] == [
        ("report", ""),
        ("bom.json", "report"),
    ]


async def test_other_content_under_the_same_name_is_refused(setup: ArtifactSetup) -> None:
    await setup.upload(b"content")
    with pytest.raises(Conflict, match="other content"):
        await setup.upload(b"something else")
    assert await setup.kept() == b"content"


async def test_two_artifacts_of_a_job_do_not_share_a_file(setup: ArtifactSetup) -> None:
    """A directory `foo` is kept as foo.tar.gz, which is also the name of a file."""
    await setup.upload(b"directory", "foo", file_name="foo.tar.gz")
    with pytest.raises(Conflict, match="artifact 'foo' of this job has that file name"):
        await setup.upload(b"file", "foo.tar.gz")
    assert await setup.kept("foo") == b"directory"
    assert [one.name for one in await setup.artifacts.list(JOB.id)] == ["foo"]
    await setup.upload(b"directory", "foo", file_name="foo.tar.gz")


async def test_one_of_many_simultaneous_uploads_is_kept_with_its_own_record(setup: ArtifactSetup) -> None:
    contents = [b"content %d" % number * (number + 1) for number in range(12)]
    ends = await asyncio.gather(*map(setup.upload, contents), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["Conflict"] * 11 + ["NoneType"]
    assert await setup.kept() == contents[ends.index(None)]


async def test_bytes_without_a_record_are_replaced(setup: ArtifactSetup) -> None:
    """The server died between the two; the coordinator repeats its upload, perhaps with other bytes."""
    directory = setup.path / "artifacts" / JOB.id
    directory.mkdir()
    (directory / "report").write_bytes(b"of a killed server")
    await setup.upload(b"content")
    assert await setup.kept() == b"content"


async def test_a_job_that_is_ending_keeps_no_artifact(setup: ArtifactSetup) -> None:
    with pytest.raises(Conflict, match="ending"):
        await setup.upload(b"content", wanted=False)
    with pytest.raises(NotFound):
        await setup.artifacts.find(JOB.id, "report")
    assert not (setup.path / "artifacts" / JOB.id).exists()


@pytest.mark.parametrize("name", ["two words", "bericht ü", "v1.2 (linux)", "ファイル", "x" * 128, "a"])
async def test_a_name_is_as_people_give_it(setup: ArtifactSetup, name: str) -> None:
    await setup.upload(b"content", name)
    await setup.upload(b"other", "of a pattern", file_name="of a pattern.txt")
    assert await setup.kept(name) == b"content"
    assert await setup.kept("of a pattern") == b"other"
    with pytest.raises(Invalid, match="cannot name"):
        await setup.upload(b"x", "z", file_name="another.txt")


@pytest.mark.parametrize(
    "name",
    ["", ".hidden", "a/b", "../up", "x" * 129, "ä" * 111, " first", "last ", "last.", "a\nb", "-dash", "u\u0308"],
)
async def test_an_invalid_name_is_refused(setup: ArtifactSetup, name: str) -> None:
    with pytest.raises(Invalid, match="cannot name an artifact"):
        await setup.upload(b"content", name)


async def test_a_job_has_so_many_artifacts_and_no_more(setup: ArtifactSetup) -> None:
    for name in ("one", "two", "three"):
        await setup.upload(b"x", name)
    with pytest.raises(TooLarge, match="the job has 3 artifacts, the most that are allowed") as refusal:
        await setup.upload(b"x", "four")
    assert "max_artifacts_per_job" in refusal.value.hint
    await setup.upload(b"x", "three")
    assert len(await setup.artifacts.list(JOB.id)) == 3


async def test_the_artifacts_of_a_job_have_a_size_together(setup: ArtifactSetup) -> None:
    await setup.upload(bytes(600), "one")
    with pytest.raises(TooLarge, match="more than 1000 bytes together") as refusal:
        await setup.upload(bytes(600), "two")
    assert "max_artifacts_gb_per_job" in refusal.value.hint
    await setup.upload(bytes(400), "two")
    assert sorted(file.name for file in (setup.path / "artifacts" / JOB.id).iterdir()) == ["one", "two"]
