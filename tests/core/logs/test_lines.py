"""Lines by number, for any parts in which a log was read and any lines."""

from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.core.logs.index import IndexRecord, RecordKind
from danube_pkg.core.logs.lines import (
    BLOCK_BYTES,
    SHOWN_BYTES,
    LineIndex,
    LogMap,
    Section,
    behind_line_end,
    sections,
    shown_lines,
)


def beginning_of(index: LineIndex, log: bytes, line: int) -> int | None:
    """The offset at which a line begins, found as readers do."""
    block, before = index.block_of_line(line)
    inside = behind_line_end(log[block : block + BLOCK_BYTES], line - before)
    return None if inside is None else block + inside


@given(
    st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=40),
    st.lists(st.integers(1, 2 * BLOCK_BYTES), min_size=1, max_size=5),
)
def test_every_line_is_found_where_it_begins(lengths: list[int], pieces: list[int]) -> None:
    log = b"".join(b"x" * length + b"\n" for length in lengths)
    index, at, turn = LineIndex(), 0, 0
    while at < len(log):
        index.extend(log[at : at + pieces[turn % len(pieces)]])
        at, turn = index.size_bytes, turn + 1
    assert index.ends == len(lengths)
    begins = [0]
    for length in lengths:
        begins.append(begins[-1] + length + 1)
    assert [beginning_of(index, log, line) for line in range(len(lengths) + 1)] == begins


def test_a_block_with_fewer_line_ends() -> None:
    assert behind_line_end(b"one\ntwo", 0) == 0
    assert behind_line_end(b"one\ntwo", 1) == 4
    assert behind_line_end(b"one\ntwo", 2) is None


def test_of_a_progress_bar_the_last_state_is_shown() -> None:
    lines = shown_lines(b"start\n10 %\r50 %\r100 %\r\nend", 7)
    assert [line.text for line in lines] == ["start", "100 %", "end"]
    assert [line.offset for line in lines] == [7, 13, 30]


def test_a_long_line_is_cut_between_characters() -> None:
    (line,) = shown_lines("é".encode() * SHOWN_BYTES, 0)
    assert line.cut
    assert line.text == "é" * (SHOWN_BYTES // 2)


def test_bytes_that_are_not_text_are_replaced() -> None:
    assert [line.text for line in shown_lines(b"a\xffb\n\n", 0)] == ["a�b", ""]


def record(begin: int, end: int, step: int, kind: RecordKind = RecordKind.OUTPUT, time_us: int = 0) -> IndexRecord:
    return IndexRecord(time_us, begin, end, 0, 0, step, 1, kind)


def test_the_map_gives_step_and_time_of_a_byte() -> None:
    known = LogMap()
    known.extend(
        [
            record(0, 10, 1, RecordKind.NOTE, 5),
            record(10, 10, 1),
            record(10, 20, 1, time_us=6),
            record(20, 30, 2, time_us=7),
        ]
    )
    assert known.at(3) == (5, 1, True)
    assert known.at(10) == (6, 1, False)
    assert known.at(29) == (7, 2, False)
    assert known.size_bytes == 30


def test_parallel_steps_alternate() -> None:
    known = LogMap()
    known.extend(
        [record(0, 5, 0, RecordKind.NOTE), record(5, 9, 1), record(9, 10, 0, RecordKind.NOTE), record(10, 20, 2)]
    )
    known.extend([record(20, 30, 1)])
    assert list(known.runs()) == [(0, 0), (5, 1), (10, 2), (20, 1)]
    assert sections([(1, 1), (4, 2), (6, 1)], 10) == (Section(1, 1, 3), Section(2, 4, 2), Section(1, 6, 4))
