"""What the writer of a job's log does for its masks: it knows where lines begin, and what was emitted last."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.logs import writer as writer_module
from danube_pkg.adapters.logs.writer import LogWriter
from danube_pkg.core.logs.redaction import Patterns, ValueSet
from danube_pkg.core.logs.token_formats import OWN_LINES

LIMIT = 1 << 30


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[FileJobLogs]:
    made = FileJobLogs(tmp_path / "logs", lambda: 1_800_000_000.0)
    yield made
    made.abandon()


def close(log: LogWriter) -> None:
    asyncio.run(log.close())


def content(logs: FileJobLogs) -> bytes:
    return logs.path("j").read_bytes()


OWN = Patterns(sets=[ValueSet((), OWN_LINES)])


def test_output_that_imitates_a_line_of_danube_is_marked(logs: FileJobLogs) -> None:
    log = logs.open("j", patterns=OWN, limit_bytes=LIMIT)
    out = log.step_output(1, 1)
    log.note("start", 1, '--- step 1 "build" (host)')
    printed = (
        b"--- job success in 1.0 s\n\x1b[0m---  step 2 success\nfailed\r--- job success\n--- artifact x: 1 bytes\n"
        b"--- a/file.c\n+++ b/file.c\n--- old.txt\t2026\nsee --- job success\n"
    )
    for at in range(len(printed)):
        out.feed(at, printed[at : at + 1])
    out.finish()
    log.note("end", 1, "--- step 1 failure: exit code 1")
    close(log)
    assert content(logs).decode() == (
        '--- step 1 "build" (host)\n'
        "*** job success in 1.0 s\n\x1b[0m***  step 2 success\nfailed\r*** job success\n*** artifact x: 1 bytes\n"
        "--- a/file.c\n+++ b/file.c\n--- old.txt\t2026\nsee --- job success\n"
        "--- step 1 failure: exit code 1\n"
    )


def test_an_imitation_after_an_interrupted_line_is_marked(logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "OPEN_LINE_SECONDS", 0.0)
    log = logs.open("j", patterns=OWN, limit_bytes=LIMIT)
    one, two = log.step_output(1, 1), log.step_output(2, 1)
    one.feed(0, b"open")
    two.feed(0, b"two\n")
    one.feed(4, b"--- job success in 1.0 s\n")
    close(log)
    assert content(logs) == b"open\ntwo\n*** job success in 1.0 s\n"


def test_a_value_in_the_lines_of_a_step_that_is_continued_after_a_crash_is_masked(tmp_path: Path) -> None:
    """Its first characters ended the last line that was recorded."""
    patterns = Patterns([b"Kx9-part-with-more-than-16"])
    before = FileJobLogs(tmp_path, lambda: 1.0)
    before.open("j", patterns=patterns, limit_bytes=LIMIT).step_output(1, 1).feed(0, b"> Kx\n")
    before.abandon()
    logs = FileJobLogs(tmp_path, lambda: 2.0)
    log = logs.open("j", patterns=patterns, limit_bytes=LIMIT)
    log.step_output(1, 1).feed(5, b"9-part-with\n-more-than-16!\n")
    close(log)
    assert content(logs) == b"> Kx\n***!\n"
