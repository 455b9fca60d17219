"""What every implementation of `StoredFiles` does: the directories of a server, and the fake of years of retention."""

from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.adapters.retention.files import JobFileDirectories
from danube_pkg.core.retention.plan import DAY_SECONDS, FileKind, JobFiles, Removal, Why
from danube_pkg.core.retention.ports import StoredFiles
from danube_pkg.kit.records import Record
from tests.fakes.stored_files import VirtualDisk


class ContractFiles(Record):
    """put: gives a job files of a kind with this many bytes."""

    files: StoredFiles
    put: Callable[[str, FileKind, int], None]


def directories(path: Path) -> ContractFiles:
    (path / "logs").mkdir()
    (path / "artifacts").mkdir()

    def put(job_id: str, kind: FileKind, size: int) -> None:
        file = path / "logs" / f"{job_id}.log"
        if kind is FileKind.ARTIFACTS:
            file = path / "artifacts" / job_id / "report"
            file.parent.mkdir()
        file.write_bytes(b"x" * size)

    return ContractFiles(JobFileDirectories(path), put)


def virtual_disk(path: Path) -> ContractFiles:
    disk = VirtualDisk()

    def put(job_id: str, kind: FileKind, size: int) -> None:
        disk.sizes[job_id, kind] = size

    return ContractFiles(disk, put)


@pytest.fixture(params=[directories, virtual_disk])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> ContractFiles:
    made = request.param(tmp_path)
    assert isinstance(made, ContractFiles)
    return made


def removal(job_id: str, kind: FileKind) -> Removal:
    return Removal(job_id, "app", kind, 1, Why.AGE, 31 * DAY_SECONDS)


async def test_each_job_is_listed_with_its_files_by_kind(stored: ContractFiles) -> None:
    assert list(await stored.files.list_files()) == []
    stored.put("a", FileKind.LOGS, 5)
    stored.put("a", FileKind.ARTIFACTS, 7)
    stored.put("b", FileKind.LOGS, 0)
    found = sorted(await stored.files.list_files(), key=lambda one: (one.job_id, one.kind))
    assert found == [
        JobFiles("a", FileKind.ARTIFACTS, 7),
        JobFiles("a", FileKind.LOGS, 5),
        JobFiles("b", FileKind.LOGS, 0),
    ]


async def test_what_is_removed_is_listed_no_longer_and_the_rest_is(stored: ContractFiles) -> None:
    stored.put("a", FileKind.LOGS, 5)
    stored.put("a", FileKind.ARTIFACTS, 7)
    stored.put("b", FileKind.ARTIFACTS, 9)
    removals = [removal("a", FileKind.LOGS), removal("b", FileKind.ARTIFACTS)]
    assert list(await stored.files.remove(removals)) == []
    assert list(await stored.files.list_files()) == [JobFiles("a", FileKind.ARTIFACTS, 7)]


async def test_a_removal_can_be_repeated(stored: ContractFiles) -> None:
    """A server that was killed behind a removal repeats it."""
    stored.put("a", FileKind.LOGS, 5)
    for _ in range(2):
        assert list(await stored.files.remove([removal("a", FileKind.LOGS)])) == []
    assert list(await stored.files.list_files()) == []
