"""Job logs: nothing is lost, written twice or left unmasked, wherever a crash or a full disk interrupts the writer."""

import asyncio
import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.logs import writer as writer_module
from danube_pkg.adapters.logs.dropped import ALL_ENDS_BYTES, END_BYTES
from danube_pkg.adapters.logs.writer import LogWriter
from danube_pkg.core.errors import StorageFailing, StorageFull
from danube_pkg.core.logs.index import RECORD_BYTES
from danube_pkg.core.logs.redaction import NO_PATTERNS, Patterns
from tests.support.waiting import wait_until_async

SECRET = b"hunter2-hunter2"
LIMIT = 1 << 30


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[FileJobLogs]:
    made = FileJobLogs(tmp_path / "logs", lambda: 1_800_000_000.0)
    yield made
    made.abandon()


def opened(logs: FileJobLogs, limit: int = LIMIT) -> LogWriter:
    return logs.open("j", patterns=Patterns([SECRET]), limit_bytes=limit)


def close(log: LogWriter) -> None:
    asyncio.run(log.close())


def content(logs: FileJobLogs) -> bytes:
    return logs.path("j").read_bytes()


def test_output_notes_and_ranges(logs: FileJobLogs) -> None:
    log = opened(logs)
    log.note("start", 1, "--- step 1")
    out = log.step_output(1, 1)
    out.feed(0, b"hello " + SECRET + b"\nworld")
    out.finish()
    log.note("end", 1, "--- end")
    log.note("end", 1, "--- end")
    close(log)
    assert content(logs) == b"--- step 1\nhello ***\nworld\n--- end\n"
    assert log.step_range(1) == (11, 26)
    assert asyncio.run(logs.read("j", 0, 100, step=1)) == b"hello ***\nworld"
    assert asyncio.run(logs.read("j", 6, 9, step=1)) == b"***"
    assert logs.time_at("j", 12) == 1_800_000_000.0


def test_a_crash_at_every_point_continues_exactly(tmp_path: Path) -> None:
    raw = b"".join(b"line %d %s\n" % (n, SECRET if n % 7 == 0 else b"plain") for n in range(60))
    chunks = [raw[at : at + 17] for at in range(0, len(raw), 17)]
    expected = raw.replace(SECRET, b"***")
    for crash in range(0, len(chunks), 3):
        for lost_index, lost_log in ((0, 0), (1, 0), (30, 0), (56, 5), (200, 40)):
            directory = tmp_path / f"{crash}-{lost_index}-{lost_log}"
            logs = FileJobLogs(directory, lambda: 1.0)
            out = opened(logs).step_output(1, 1)
            at = 0
            for chunk in chunks[:crash]:
                out.feed(at, chunk)
                at += len(chunk)
            logs.abandon()
            for name, lost in (("j.idx", lost_index), ("j.log", lost_log)):
                size = (directory / name).stat().st_size
                os.truncate(directory / name, max(0, size - lost))
            again = FileJobLogs(directory, lambda: 2.0)
            log = opened(again)
            out = log.step_output(1, 1)
            out.feed(out.raw_offset, raw[out.raw_offset :])
            close(log)
            assert content(again) == expected, (crash, lost_index, lost_log)
            shutil.rmtree(directory)


def test_parallel_steps_switch_at_line_ends(logs: FileJobLogs) -> None:
    log = opened(logs)
    one, two = log.step_output(1, 1), log.step_output(2, 1)
    one.feed(0, b"one be")
    two.feed(0, b"two whole\n")
    one.feed(6, b"gun\n")
    two.feed(10, b"open")
    two.finish()
    one.finish()
    close(log)
    assert content(logs) == b"one begun\ntwo whole\nopen\n"


def test_the_beginning_of_a_secret_is_held_back_in_two_steps_at_once(logs: FileJobLogs) -> None:
    log = opened(logs)
    one, two = log.step_output(1, 1), log.step_output(2, 1)
    one.feed(0, b"one\n" + SECRET[:5])
    two.feed(0, b"two\n" + SECRET[:7])
    two.feed(11, SECRET[7:] + b"\n")
    one.feed(9, b" was none\n")
    close(log)
    assert content(logs) == b"one\ntwo\n***\n" + SECRET[:5] + b" was none\n"


def test_a_prompt_blocks_other_steps_for_a_bounded_time(logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "OPEN_LINE_SECONDS", 0.0)
    log = opened(logs)
    log.step_output(1, 1).feed(0, b"name? ")
    log.step_output(2, 1).feed(0, b"other\n")
    log.step_output(1, 1).feed(6, b"late\n")
    close(log)
    assert content(logs) == b"name? \nother\nlate\n"
    assert asyncio.run(logs.read("j", 0, 100, step=1)) == b"name? late\n"


def test_seeded_parallel_crashes_keep_each_step_exact(tmp_path: Path) -> None:
    for seed in range(40):
        chance = random.Random(seed)
        texts = {n: b"".join(b"%d:%d %s|" % (n, i, SECRET) + b"\n" * (i % 2) for i in range(50)) for n in (1, 2, 3)}
        fed = dict.fromkeys(texts, 0)
        logs = FileJobLogs(tmp_path / str(seed), lambda: 1.0)
        log = opened(logs)
        while any(fed[n] < len(texts[n]) for n in texts):
            n = chance.choice([n for n in texts if fed[n] < len(texts[n])])
            size = chance.randrange(1, 60)
            log.step_output(n, 1).feed(fed[n], texts[n][fed[n] : fed[n] + size])
            fed[n] = min(len(texts[n]), fed[n] + size)
            if chance.random() < 0.03:
                logs.abandon()
                logs = FileJobLogs(tmp_path / str(seed), lambda: 1.0)
                log = opened(logs)
                fed = {n: log.step_output(n, 1).raw_offset for n in texts}
        close(log)
        for n, text in texts.items():
            found = asyncio.run(logs.read("j", 0, 1 << 20, step=n))
            assert found == text.replace(SECRET, b"***"), f"seed {seed} step {n}"


def test_beyond_the_limit_the_end_of_each_step_is_kept(logs: FileJobLogs) -> None:
    log = opened(logs, limit=100)
    noisy, failing = log.step_output(1, 1), log.step_output(2, 1)
    noisy.feed(0, b"noise\n" * 20_000)
    noisy.finish()
    failing.feed(0, b"compiling\n" + SECRET[:4])
    failing.feed(14, SECRET[4:] + b" is wrong\nerror: no such file")
    failing.finish()
    failing.finish()
    close(log)
    lines = content(logs).decode().splitlines()
    step_1 = next(at for at, line in enumerate(lines) if line.startswith("--- the end of step 1, of which"))
    printed = "compiling\n*** is wrong\nerror: no such file"
    step_2 = lines.index(f"--- the end of step 2, of which {len(printed)} bytes were dropped")
    assert set(lines[step_1 + 1 : step_2]) == {"noise"}
    assert lines[step_2 + 1 : -1] == printed.splitlines()
    assert asyncio.run(logs.read("j", 0, 1 << 20, step=2)).decode() == f"{printed}\n"


def test_the_ends_of_all_steps_together_have_a_bound(logs: FileJobLogs) -> None:
    log = opened(logs, limit=100)
    log.step_output(1, 1).feed(0, b"x\n" * 100)
    for number in range(2, 102):
        out = log.step_output(number, 1)
        out.feed(0, b"y" * END_BYTES + b"\n")
        out.finish()
    close(log)
    assert ALL_ENDS_BYTES / 2 < len(content(logs)) < ALL_ENDS_BYTES + 20_000


def test_a_log_that_is_full_is_continued_after_a_crash(logs: FileJobLogs) -> None:
    log = opened(logs, limit=100)
    log.step_output(1, 1).feed(0, b"x\n" * 100)
    log.step_output(2, 1).feed(0, b"lost at first\n")
    log.abandon()
    other = FileJobLogs(logs.path("j").parent, lambda: 1_800_000_000.0)
    again = opened(other, limit=100)
    out = again.step_output(2, 1)
    out.feed(out.raw_offset, b"lost at first\nand the reason\n")
    out.finish()
    close(again)
    *_, first, reason, limit = content(logs).splitlines()
    assert (first, reason, b"limit of" in limit) == (b"lost at first", b"and the reason", True)


def test_the_limit_is_the_last_line_and_later_output_is_dropped(logs: FileJobLogs) -> None:
    log = opened(logs, limit=100)
    out = log.step_output(1, 1)
    for at in range(0, 3 << 20, 1 << 16):
        out.feed(at, b"x" * (1 << 16))
    assert out.raw_offset >= 1 << 20
    out.feed(3 << 20, b"and a little more")
    out.finish()
    assert out.raw_offset == (3 << 20) + 17, (
        "an output that is not acknowledged to its end stays in the supervisor's memory"
    )
    log.note("end", 1, "--- end")
    close(log)
    text = content(logs)
    assert len(text) < END_BYTES + 600
    assert text.startswith(b"x" * 100 + b"\n--- the log's limit of")
    assert b"limit of" in text.splitlines()[-1]


def test_a_full_disk_loses_nothing(logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(logs)
    out = log.step_output(1, 1)
    out.feed(0, b"before\n")
    real, room = os.pwrite, [5]

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, data[: room[0]], offset)
        room[0] -= written
        return written

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(StorageFull, match="no space"):
        out.feed(7, b"while full\n")
    assert out.raw_offset == 7
    monkeypatch.undo()
    out.feed(7, b"while full\n")
    close(log)
    assert content(logs) == b"before\nwhile full\n"


def test_a_disk_without_inodes_lets_a_log_wait_as_a_full_one(
    logs: FileJobLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot be created; the job waits, and the message says what is used up."""
    found, real = list(os.statvfs(tmp_path)), os.open
    found[7] = 0  # f_favail

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(".idx"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(found))
    monkeypatch.setattr(os, "open", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageFull, match="no inodes left") as full:
        opened(logs)
    assert full.value.hint.startswith("free inodes on the file system of ")
    assert len(os.listdir("/proc/self/fd")) == before
    monkeypatch.undo()
    close(opened(logs))


async def test_followers_get_everything_and_end_with_the_log(logs: FileJobLogs) -> None:
    log = opened(logs)

    async def follow() -> bytes:
        return b"".join([data async for _, data in logs.follow("j", 0)])

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(follow(), name=f"reader {n}") for n in range(200)]
        out, at = log.step_output(1, 1), 0
        for n in range(300):
            line = b"line %d\n" % n
            out.feed(at, line)
            at += len(line)
            if n % 50 == 0:
                await wait_until_async(lambda: True, 1, "a turn of the loop")
        await log.close()
    assert {task.result() for task in readers} == {content(logs)}


def test_a_secret_that_is_added_later_is_masked_from_then_on(logs: FileJobLogs) -> None:
    log = opened(logs)
    out = log.step_output(1, 1)
    log.add_patterns(Patterns([b"another-secret"]))
    out.feed(0, b"a another-secret and " + SECRET)
    out.finish()
    assert content(logs) == b"a *** and ***\n"


def test_a_held_back_beginning_of_a_secret_blocks_no_other_step(logs: FileJobLogs) -> None:
    log = opened(logs)
    left, right = log.step_output(1, 1), log.step_output(2, 1)
    left.feed(0, b"whole line\n" + SECRET[:5])
    right.feed(0, b"beside it\n" + SECRET[:3])
    assert content(logs) == b"whole line\nbeside it\n"
    left.feed(16, b" was no secret\n")
    right.finish()
    assert content(logs) == b"whole line\nbeside it\n" + SECRET[:5] + b" was no secret\n" + SECRET[:3] + b"\n"


def test_a_closed_log_is_complete_and_drops_later_output(logs: FileJobLogs, tmp_path: Path) -> None:
    """Its descriptors may belong to another file by now."""
    log = opened(logs)
    out = log.step_output(1, 1)
    out.feed(0, b"all of it\n" + SECRET[:4])
    close(log)
    whole = content(logs)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    another = os.open(tmp_path / "another", os.O_RDWR | os.O_CREAT)
    out.feed(14, b"late\n")
    out.finish()
    log.note("late", 1, "--- late")
    close(log)
    assert content(logs) == whole == b"all of it\n" + SECRET[:4] + b"\n"
    assert out.raw_offset == 14, "bytes that were dropped must not be acknowledged"
    assert os.read(other, 99) == os.read(another, 99) == b""
    os.close(other)
    os.close(another)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_everything_loses_no_output(
    logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    log = opened(logs)
    out = log.step_output(1, 1)
    out.feed(0, b"before\n")

    def refuse(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", refuse)
        broken.setattr(os, "ftruncate", refuse)
        with pytest.raises(StorageFailing, match=os.strerror(number)):
            out.feed(7, b"after\n")
    out.feed(7, b"after\n")
    out.finish()
    close(log)
    assert content(logs) == b"before\nafter\n"


def test_a_log_that_could_not_be_synced_is_closed_again(logs: FileJobLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(logs)
    log.note("one", 0, "--- one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="no space"):
        close(log)
    monkeypatch.undo()
    assert logs.open("j", patterns=NO_PATTERNS, limit_bytes=LIMIT) is log
    close(log)
    assert content(logs) == b"--- one\n"
    assert not logs._open


async def test_followers_that_leave_are_removed(logs: FileJobLogs) -> None:
    log = opened(logs)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await log.wait_changed()
    assert not log.readers


async def test_a_log_that_was_removed_ends_its_followers(logs: FileJobLogs) -> None:
    log = opened(logs)
    log.note("one", 0, "--- one")
    logs.path("j").unlink()
    async with asyncio.timeout(10):
        assert [part async for part in logs.follow("j", 0)] == []


async def test_reading_parts_of_an_index_equals_a_pass_over_it(tmp_path: Path) -> None:
    moment = [0.0]
    logs = FileJobLogs(tmp_path / "logs", lambda: moment[0])
    log = opened(logs)
    outputs = [log.step_output(1, 1), log.step_output(2, 1)]
    offsets = [0, 0]
    for number in range(100):
        moment[0] += 1.0
        which = number % 3 % 2
        outputs[which].feed(offsets[which], line := b"line %d\n" % number)
        offsets[which] += len(line)
    await log.close()
    whole = content(logs)
    assert logs.size("j") == len(whole)
    at = 0
    for number, line in enumerate(whole.splitlines(True)):
        assert logs.time_at("j", at) == logs.time_at("j", at + len(line) - 1) == number + 1
        at += len(line)
    assert logs.time_at("j", len(whole)) is None
    for step in (1, 2, 3):
        mine = b"".join(line for number, line in enumerate(whole.splitlines(True)) if number % 3 % 2 == step - 1)
        assert logs.size("j", step=step) == len(mine)
        assert await logs.read("j", 0, len(whole), step=step) == mine
    os.truncate(logs.path("j").with_suffix(".idx"), 98 * RECORD_BYTES + 7)
    assert logs.size("j") == len(b"".join(whole.splitlines(True)[:98]))
    os.truncate(logs.path("j"), len(whole) // 2)
    kept = logs.size("j")
    assert kept <= len(whole) // 2
    assert whole[:kept].endswith(b"\n")
