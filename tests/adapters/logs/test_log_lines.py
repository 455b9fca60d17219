"""Lines of real log files: while they grow, in long logs, of one step, with their marks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.logs.lines import ANSWER_BYTES
from danube_pkg.core.logs.lines import Mark, Section
from danube_pkg.core.logs.redaction import NO_PATTERNS

AT = 1_800_000_000.0
AT_US = 1_800_000_000_000_000


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[FileJobLogs]:
    made = FileJobLogs(tmp_path / "logs", lambda: AT)
    yield made
    made.abandon()


def write(logs: FileJobLogs, text: bytes, step: int = 1) -> None:
    """Print a text as the next output of a step."""
    output = logs.open("j", patterns=NO_PATTERNS, limit_bytes=1 << 30).step_output(step, 1)
    output.feed(output.raw_offset, text)


async def texts(logs: FileJobLogs, first: int, count: int, step: int | None = None) -> list[str]:
    found = await logs.lines("j", first, count, step=step)
    return [line.text for line in found.lines]


async def test_a_log_that_does_not_exist_has_no_lines(logs: FileJobLogs) -> None:
    found = await logs.lines("j", -10, 10)
    assert (found.total, found.lines, found.is_open) == (0, (), False)
    assert await logs.sections("j") == ()


async def test_lines_while_they_are_written(logs: FileJobLogs) -> None:
    write(logs, b"one\ntwo")
    found = await logs.lines("j", -5, 5)
    assert ([line.text for line in found.lines], found.total, found.is_open) == (["one", "two"], 2, True)
    write(logs, b"fold\nthree\n")
    found = await logs.lines("j", 1, 5)
    assert ([line.text for line in found.lines], found.total, found.is_open) == (["twofold", "three"], 3, False)
    assert found.end == found.size_bytes == len("one\ntwofold\nthree\n")
    assert found.marks == (Mark(0, AT_US, 1, False),)


async def test_a_million_lines_from_anywhere(logs: FileJobLogs) -> None:
    total = 1_000_000
    for begin in range(0, total, 100_000):
        write(logs, b"".join(b"line %d\n" % n for n in range(begin, begin + 100_000)))
    for first in (0, 1, 65_535, 499_999, total - 2):
        assert await texts(logs, first, 2) == [f"line {first}", f"line {first + 1}"]
    assert await texts(logs, -1, 5) == [f"line {total - 1}"]
    assert await texts(logs, total + 7, 5) == []


async def test_a_response_is_bounded_and_can_be_continued(logs: FileJobLogs) -> None:
    write(logs, b"x" * (2 * ANSWER_BYTES) + b"\n" + (b"y" * 1023 + b"\n") * 2048)
    found = await logs.lines("j", 0, 100)
    assert [(len(line.text), line.cut) for line in found.lines] == [(4096, True)]
    assert await texts(logs, 1, 1) == ["y" * 1023]
    found = await logs.lines("j", 1, 2000)
    assert len(found.lines) == 1024
    assert found.end == found.lines[0].offset + 1024 * 1024


async def test_one_step_of_several_that_alternate(logs: FileJobLogs) -> None:
    log = logs.open("j", patterns=NO_PATTERNS, limit_bytes=1 << 30)
    log.note("start", 1, "--- step 1")
    write(logs, b"a1\na2\n", step=1)
    write(logs, b"b1\n", step=2)
    write(logs, b"a3\n", step=1)
    log.note("end", 0, "--- job success")
    assert await texts(logs, 0, 10) == ["--- step 1", "a1", "a2", "b1", "a3", "--- job success"]
    assert await texts(logs, 0, 10, step=1) == ["a1", "a2", "a3"]
    assert await texts(logs, -1, 10, step=2) == ["b1"]
    assert await logs.sections("j") == (Section(1, 0, 3), Section(2, 3, 1), Section(1, 4, 1), Section(0, 5, 1))
    marks = (await logs.lines("j", 0, 10)).marks
    assert [(mark.line, mark.step, mark.note) for mark in marks] == [
        (0, 1, True), (1, 1, False), (3, 2, False), (4, 1, False), (5, 0, True),
    ]  # fmt: skip
