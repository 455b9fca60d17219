"""What the writer of a job's log does for its masks: it knows where lines begin, and what was emitted last."""

import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.logs import writer as writer_module
from danube_pkg.adapters.logs.appending import append_both
from danube_pkg.adapters.logs.writer import LogWriter
from danube_pkg.core.errors import StorageUnwritable
from danube_pkg.core.logs.finders import Finder, best_finder
from danube_pkg.core.logs.redaction import MAX_EXPANSION, MAX_HELD_BYTES, SEARCHED_BYTES, Patterns, TakesLong, ValueSet
from danube_pkg.core.logs.token_formats import OWN_LINES, TOKEN_FORMATS

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


# --- hostile output: the event loop does none of the work that takes long

VALUE = b"Kx9-a-long-value-" + bytes(range(33, 127)) * 500
FIFTY = [b"%03d-of-fifty-values-that-all-begin-in-another-way" % (number * 7) for number in range(50)]

HOSTILE = {
    "beginnings of tokens": b"AKIA eyJ ghp_ xoxb- -----BEGIN " * 1200,
    "imitations of lines": b"--- job success\n" * 2500,
    "beginnings of many values": b" ".join(value[:14] for value in FIFTY) * 50,
    "one letter": b"a" * 80_000,
    "most of a long value": (VALUE[:-1] + b".") * 2,
    "a long value as a dump": b"\n".join(b"%08x: %s" % (at, VALUE[at : at + 16].hex(" ").encode()) for at in
                                        range(0, 16_000, 16)),
}  # fmt: skip
PATTERNS = Patterns(sets=[ValueSet([VALUE, b"a" * 16384, *FIFTY]), ValueSet((), (*OWN_LINES, *TOKEN_FORMATS))])


@pytest.mark.parametrize("size", [32_768, 262_144])
@pytest.mark.parametrize("name", HOSTILE)
async def test_the_event_loop_masks_nothing_that_takes_long(
    logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    """And a thread masks a part at a time, since a search holds the interpreter."""
    here, mask, in_threads, fed = threading.get_ident(), Patterns.mask, 0, 0

    def watched(
        patterns: Patterns, raw: bytes, *, final: bool = False, before: bytes = b"", quick: bool = False
    ) -> tuple[bytes, int]:
        nonlocal in_threads, fed
        assert quick or threading.get_ident() != here or not raw
        in_threads += not quick
        fed = fed if quick else max(fed, len(raw))
        return mask(patterns, raw, final=final, before=before, quick=quick)

    direct = logs.open("direct", patterns=PATTERNS, limit_bytes=LIMIT)
    for at in range(0, len(HOSTILE[name]), 32_768):
        direct.step_output(1, 1).feed(at, HOSTILE[name][at : at + 32_768])
    await direct.close()
    log = logs.open("j", patterns=PATTERNS, limit_bytes=LIMIT)
    out = log.step_output(1, 1)
    monkeypatch.setattr(Patterns, "mask", watched)
    for at in range(0, len(HOSTILE[name]), size):
        await out.write(at, HOSTILE[name][at : at + size])
    await out.end()
    await log.close()
    assert in_threads
    assert fed <= writer_module.PART_BYTES + MAX_HELD_BYTES + len(VALUE) * MAX_EXPANSION
    assert content(logs) == logs.path("direct").read_bytes()


async def test_a_full_disk_between_two_parts_loses_no_output(
    logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = (b"AKIA " + b"x" * 50 + b"\n") * 2500
    log = logs.open("j", patterns=PATTERNS, limit_bytes=LIMIT)
    out, append, appended = log.step_output(1, 1), append_both, 0

    def full_at_the_second(*words: Any) -> None:
        nonlocal appended
        appended += 1
        if appended == 2:
            raise OSError(errno.ENOSPC, "no space left")
        append(*words)

    monkeypatch.setattr(writer_module, "append_both", full_at_the_second)
    with pytest.raises(StorageUnwritable):
        await out.write(0, output)
    await out.end()
    await log.close()
    assert content(logs) == output


def test_a_quick_search_ends_where_it_has_found_much() -> None:
    """Else it would take as long as what it is to avoid: 100 ms for 256 KiB of one letter."""
    searched: list[int] = []

    def counting(anchors: Sequence[bytes]) -> Finder:
        find = best_finder()(anchors)

        def counted(output: bytes) -> Sequence[tuple[int, int, int]]:
            searched.append(len(output))
            return find(output)

        return counted

    patterns = Patterns(sets=[ValueSet([b"a" * 64], finder=counting)])
    with pytest.raises(TakesLong):
        patterns.mask(b"a" * 262_144, quick=True)
    assert sum(searched) < 2 * SEARCHED_BYTES
    calm, at = b"b" * (SEARCHED_BYTES - 20), SEARCHED_BYTES - 20
    assert patterns.mask(calm + b"a" * 64 + b"b" * 100, quick=True) == (calm + b"***" + b"b" * 100, at + 164)


async def test_ordinary_output_is_masked_at_once(logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread would cost more than the work."""
    log = logs.open("j", patterns=PATTERNS, limit_bytes=LIMIT)
    monkeypatch.setattr(asyncio, "to_thread", None)
    output = b"compiling part/of/a/project.c\n" * 1000 + FIFTY[3] + b"\n"
    await log.step_output(1, 1).write(0, output)
    assert content(logs).endswith(b"project.c\n***\n")


async def test_a_line_that_ends_while_its_output_is_masked_in_a_thread_is_masked_again(
    logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before the output is another then: its first dashes begin a line."""
    monkeypatch.setattr(writer_module, "OPEN_LINE_SECONDS", 0.0)
    log = logs.open("j", patterns=PATTERNS, limit_bytes=LIMIT)
    one, two = log.step_output(1, 1), log.step_output(2, 1)
    one.feed(0, b"open")
    output = b"--- job success " + b"AKIA " * 200 + b"\n"

    async def in_thread(work: Callable[..., object], *arguments: object) -> object:
        two.feed(0, b"two\n")
        return work(*arguments)

    await masked_by(in_thread, one.write(4, output), monkeypatch)
    assert content(logs) == b"open\ntwo\n***" + output[3:]


async def masked_by(in_thread: object, writing: Awaitable[None], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "to_thread", in_thread)
        await writing


async def test_output_whose_masking_is_overtaken_by_the_end_of_its_step_is_written_once(
    logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.open("j", patterns=PATTERNS, limit_bytes=LIMIT)
    out = log.step_output(1, 1)

    async def in_thread(work: Callable[..., object], *arguments: object) -> object:
        out.finish()
        return work(*arguments)

    await masked_by(in_thread, out.write(0, b"AKIA " * 200), monkeypatch)
    await out.end()
    await log.close()
    assert content(logs) == b"AKIA " * 200 + b"\n"
