"""Lines of a log by number, without storing the offset of each.

For each block of a log the number of line ends before it is kept: 25 KB for a log of 200 MB. A line is found by one
binary search in these numbers and by reading one block. Logs only grow, so counts stay valid.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from danube_pkg.core.logs.index import IndexRecord, RecordKind
from danube_pkg.kit.records import Record

BLOCK_BYTES = 64 * 1024
"""Counting the line ends of a block takes ten microseconds."""

SHOWN_BYTES = 4096
"""Bytes of a line that the page shows; longer lines are not read and slow a browser down. The file has all of it."""

MAX_SECTIONS = 2000
"""As many as a job has steps. When parallel steps alternate more often, the rest of the log cannot be folded."""


class LineIndex:
    """Counts of line ends by block. size_bytes: how much of the log was counted; ends: the line ends in it."""

    def __init__(self) -> None:
        self._before = array("Q")
        self.size_bytes = 0
        self.ends = 0

    def extend(self, data: bytes) -> None:
        """Count the next bytes of the log, in parts of any size."""
        at = 0
        while at < len(data):
            if self.size_bytes % BLOCK_BYTES == 0:
                self._before.append(self.ends)
            piece = data[at : at + BLOCK_BYTES - self.size_bytes % BLOCK_BYTES]
            self.ends += piece.count(b"\n")
            self.size_bytes += len(piece)
            at += len(piece)

    def block_of_line(self, line: int) -> tuple[int, int]:
        """(offset of the block in which the line begins or the previous one ends, line ends before that block)."""
        if line <= 0 or not self._before:
            return 0, 0
        block = bisect_right(self._before, line - 1) - 1
        return block * BLOCK_BYTES, self._before[block]

    def block_of_offset(self, offset: int) -> tuple[int, int]:
        """(offset of the block that contains the byte, line ends before that block)."""
        if not self._before:
            return 0, 0
        block = min(offset // BLOCK_BYTES, len(self._before) - 1)
        return block * BLOCK_BYTES, self._before[block]


def behind_line_end(block: bytes, number: int) -> int | None:
    """The offset in a block just after its `number`th line end; 0 for number 0, None where the block has fewer."""
    at = 0
    for _ in range(number):
        at = block.find(b"\n", at) + 1
        if at == 0:
            return None
    return at


class ShownLine(Record):
    """A line as the page shows it. offset: of its first byte in the log. cut: the file has more of it."""

    offset: int
    text: str
    cut: bool


def shown_lines(data: bytes, offset: int) -> list[ShownLine]:
    """The lines in the data, which begins at `offset`; the last one may have no line end. As in a terminal, of a line
    with carriage returns only the text after the last one remains."""
    found: list[ShownLine] = []
    if not data:
        return found
    for line in data.split(b"\n"):
        last = line.rstrip(b"\r").rpartition(b"\r")[2]
        text = last[:SHOWN_BYTES].decode(errors="replace" if len(last) <= SHOWN_BYTES else "ignore")
        found.append(ShownLine(offset, text, len(last) > SHOWN_BYTES))
        offset += len(line) + 1
    if data.endswith(b"\n"):
        found.pop()
    return found


class LogMap:
    """Which step wrote which bytes and when: the index of a log as columns, which need little memory for a long log."""

    def __init__(self) -> None:
        self._begins = array("Q")
        self._times = array("Q")
        self._steps = array("I")
        self._notes = bytearray()
        self.size_bytes = 0

    def extend(self, records: Iterable[IndexRecord]) -> None:
        """Add the next records; a record without bytes is left out."""
        for record in records:
            if record.end > record.begin:
                self._begins.append(record.begin)
                self._times.append(record.time_us)
                self._steps.append(record.step)
                self._notes.append(record.kind is RecordKind.NOTE)
                self.size_bytes = record.end

    def __len__(self) -> int:
        return len(self._begins)

    def at(self, offset: int) -> tuple[int, int, bool]:
        """(time in microseconds, step, whether Danube itself wrote it) of a byte; zeros before the first record."""
        place = bisect_right(self._begins, offset) - 1
        if place < 0:
            return 0, 0, False
        return self._times[place], self._steps[place], bool(self._notes[place])

    def runs(self) -> Iterable[tuple[int, int]]:
        """(offset, step) wherever the step changes; step 0 for Danube's own lines about the whole job. A single line
        end that closes a line for another step belongs to none."""
        current = -1
        for begin, end, step in zip(self._begins, self._ends(), self._steps, strict=True):
            if step != current and (step or end - begin > 1):
                current = step
                yield begin, step

    def _ends(self) -> "array[int]":
        ends = self._begins[1:]
        ends.append(self.size_bytes)
        return ends


class Mark(Record):
    """Time, step and origin of the lines from `line` on, which counts within a response. note: Danube itself wrote
    them."""

    line: int
    time_us: int
    step: int
    note: bool


class Lines(Record):
    """Some lines of a log. first: counts from 0. total: lines of the whole log, with the last one even if it has no
    line end. size_bytes: of the whole log. end: the offset after these lines. is_open: the last of them has no line end
    yet."""

    first: int
    total: int
    size_bytes: int
    end: int
    is_open: bool
    lines: tuple[ShownLine, ...]
    marks: tuple[Mark, ...]


class Section(Record):
    """Consecutive lines of one step. first: counts from 0. lines: their number."""

    step: int
    first: int
    lines: int


def sections(starts: Sequence[tuple[int, int]], total: int) -> tuple[Section, ...]:
    """The sections that begin at these (first line, step), in order; the last one ends after `total` lines."""
    ends = [first for first, _ in starts[1:]] + [total]
    return tuple(
        Section(step, first, end - first) for (first, step), end in zip(starts, ends, strict=True) if end > first
    )
