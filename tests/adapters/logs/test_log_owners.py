"""Whose the bytes of a log are, for a reader that follows steps side by side."""

import asyncio
from pathlib import Path

from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.core.logs.redaction import NO_PATTERNS


def test_the_bytes_of_a_range_are_named_by_their_steps(tmp_path: Path) -> None:
    logs = FileJobLogs(tmp_path / "logs", lambda: 1_800_000_000.0)
    log = logs.open("j", patterns=NO_PATTERNS, limit_bytes=1 << 20)
    log.note("start", 1, "--- step 1")  # bytes 0 to 11
    one, two = log.step_output(1, 1), log.step_output(2, 1)
    one.feed(0, b"one\n")
    two.feed(0, b"two\n")
    two.feed(4, b"too\n")
    one.feed(4, b"end\n")
    asyncio.run(log.close())
    assert logs.path("j").read_bytes() == b"--- step 1\none\ntwo\ntoo\nend\n"
    assert logs.owners("j", 0, 27) == [(0, 0), (11, 1), (15, 2), (23, 1)]
    assert logs.owners("j", 13, 16) == [(13, 1), (15, 2)]
    assert logs.owners("j", 27, 27) == []
    assert logs.owners("none", 0, 10) == []
