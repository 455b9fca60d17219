"""Files of a log that another program removes or cuts: what is left is readable, what is gone is said."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.core.errors import NotFound
from danube_pkg.core.logs.index import RECORD_BYTES
from danube_pkg.core.logs.redaction import NO_PATTERNS

TEXT = b"".join(b"line %d\n" % number for number in range(100))


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[FileJobLogs]:
    """With the closed log of one job, which has two notes around a step's output."""
    made = FileJobLogs(tmp_path / "logs", lambda: 1_800_000_000.0)
    log = made.open("j", patterns=NO_PATTERNS, limit_bytes=1 << 30)
    log.note("start", 1, "--- step 1")
    for at in range(0, len(TEXT), 100):
        log.step_output(1, 1).feed(at, TEXT[at : at + 100])
    log.step_output(1, 1).finish()
    log.note("end", 1, "--- step 1 success")
    asyncio.run(log.close())
    yield made
    made.abandon()


def read(logs: FileJobLogs) -> bytes:
    asyncio.run(logs.check("j"))
    return asyncio.run(logs.read("j", 0, logs.size("j")))


def index_of(logs: FileJobLogs) -> Path:
    return logs.path("j").with_suffix(".idx")


def test_a_whole_log_is_left_as_it_is(logs: FileJobLogs) -> None:
    before = logs.path("j").read_bytes(), index_of(logs).read_bytes()
    assert read(logs) == b"--- step 1\n" + TEXT + b"--- step 1 success\n"
    assert (logs.path("j").read_bytes(), index_of(logs).read_bytes()) == before


@pytest.mark.parametrize("kept_records", [0, 3])
@pytest.mark.parametrize("odd_bytes", [0, 7])
def test_without_its_index_a_log_is_readable_again(logs: FileJobLogs, kept_records: int, odd_bytes: int) -> None:
    index_of(logs).write_bytes(index_of(logs).read_bytes()[: kept_records * RECORD_BYTES + odd_bytes])
    text = read(logs)
    assert text.startswith(b"--- step 1\n" + TEXT + b"--- step 1 success\n")
    assert b"--- log-lost: which step printed bytes" in text
    assert read(logs) == text
    assert len(asyncio.run(logs.lines("j", 0, 1000)).lines) == 104


def test_an_index_that_is_gone_is_made_again(logs: FileJobLogs) -> None:
    index_of(logs).unlink()
    assert TEXT in read(logs)


def test_a_log_that_was_cut_shows_what_is_left(logs: FileJobLogs) -> None:
    size = logs.path("j").stat().st_size
    with logs.path("j").open("r+b") as file:
        file.truncate(500)
    text = read(logs)
    assert b"line 10\n" in text
    assert b"of this log are gone" in text
    assert len(text) < size
    assert read(logs) == text


@pytest.mark.parametrize("damage", ["remove", "empty"])
def test_a_log_of_which_nothing_is_left_is_lost(logs: FileJobLogs, damage: str) -> None:
    logs.path("j").unlink()
    if damage == "empty":
        logs.path("j").touch()
    with pytest.raises(NotFound) as refusal:
        read(logs)
    assert refusal.value.reference == "log-lost"


@pytest.mark.parametrize("suffix", [".log", ".idx"])
def test_a_file_that_is_removed_while_its_log_is_open_is_written_again(tmp_path: Path, suffix: str) -> None:
    logs = FileJobLogs(tmp_path, lambda: 1_800_000_000.0)
    log = logs.open("j", patterns=NO_PATTERNS, limit_bytes=1 << 30)
    log.note("start", 1, "--- step 1")
    (tmp_path / f"j{suffix}").unlink()
    log.step_output(1, 1).feed(0, TEXT)
    asyncio.run(log.close())
    assert read(logs) == b"--- step 1\n" + TEXT
