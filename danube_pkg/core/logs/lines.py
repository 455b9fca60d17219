"""Lines of a log by number, without keeping where each one begins.

For each block of a log the number of line ends before it is kept: 25 KB for a log of 200 MB. A line is then found by
one search in these numbers and one look into one block. Logs only grow, so what was counted stays right.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from danube_pkg.core.logs.index import IndexRecord, RecordKind
from danube_pkg.kit.records import Record

BLOCK_BYTES = 64 * 1024
"""Counting the line ends of one takes ten microseconds."""

SHOWN_BYTES = 4096
"""Of a line on a screen; nobody reads on, and a browser would be busy with it. The file has the whole."""

MAX_SECTIONS = 2000
"""As many as a job has steps; parallel steps that take turns more often cannot be folded from there on."""


class LineIndex:
    """Line ends counted by blocks. `size_bytes`: how much of the log was looked at; `ends`: line ends in it."""

    def __init__(self) -> None:
        self._before = array("Q")
        self.size_bytes = 0
        self.ends = 0

    def extend(self, data: bytes) -> None:
        """What follows in the log, in pieces of any size."""
        at = 0
        while at < len(data):
            if self.size_bytes % BLOCK_BYTES == 0:
                self._before.append(self.ends)
            piece = data[at : at + BLOCK_BYTES - self.size_bytes % BLOCK_BYTES]
            self.ends += piece.count(b"\n")
            self.size_bytes += len(piece)
            at += len(piece)

    def block_of_line(self, line: int) -> tuple[int, int]:
        """(offset of the block in which that line begins or the one before it ends, line ends before that block)."""
        if line <= 0 or not self._before:
            return 0, 0
        block = bisect_right(self._before, line - 1) - 1
        return block * BLOCK_BYTES, self._before[block]

    def block_of_offset(self, offset: int) -> tuple[int, int]:
        """(offset of the block that holds that byte, line ends before that block)."""
        if not self._before:
            return 0, 0
        block = min(offset // BLOCK_BYTES, len(self._before) - 1)
        return block * BLOCK_BYTES, self._before[block]


def behind_line_end(block: bytes, number: int) -> int | None:
    """Where in a block the byte behind its so-many-th line end is; 0 for none, None where it has fewer."""
    at = 0
    for _ in range(number):
        at = block.find(b"\n", at) + 1
        if at == 0:
            return None
    return at


class ShownLine(Record):
    """A line as a screen shows it. offset: of its first byte in the log; cut: there is more of it in the file."""

    offset: int
    text: str
    cut: bool


def shown_lines(data: bytes, offset: int) -> list[ShownLine]:
    """Whole lines (the last one may still be open) as a terminal would leave them: a line that was drawn again with carriage
    returns is what was drawn last."""
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
    """Which step wrote which bytes and when: the index of a log as columns, so that a long one stays small."""

    def __init__(self) -> None:
        self._begins = array("Q")
        self._times = array("Q")
        self._steps = array("I")
        self._notes = bytearray()
        self.size_bytes = 0

    def extend(self, records: Iterable[IndexRecord]) -> None:
        """Records that follow those before; one that covers no bytes says nothing here."""
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
        """(time in microseconds, step, whether it is a line of Danube's own) of a byte. Before the first record: zeros."""
        place = bisect_right(self._begins, offset) - 1
        if place < 0:
            return 0, 0, False
        return self._times[place], self._steps[place], bool(self._notes[place])

    def runs(self) -> Iterable[tuple[int, int]]:
        """(offset, step) wherever another step goes on; 0 for what Danube says of the whole job. The line end that closes a
        line for another step's sake is a byte of nobody's."""
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
    """From this line on (counted within an answer) lines are of that time, that step, and Danube's own or not."""

    line: int
    time_us: int
    step: int
    note: bool


class Lines(Record):
    """Some lines of a log. first: counts from 0; total: lines of the whole log, the open last one included; end: the offset
    behind them; is_open: the last of them has no line end yet; size_bytes: of the whole log."""

    first: int
    total: int
    size_bytes: int
    end: int
    is_open: bool
    lines: tuple[ShownLine, ...]
    marks: tuple[Mark, ...]


class Section(Record):
    """Lines of one step that stand together. first: counts from 0; lines: how many."""

    step: int
    first: int
    lines: int


def sections(starts: Sequence[tuple[int, int]], total: int) -> tuple[Section, ...]:
    """From (first line, step) in order to sections; the last one reaches to the end of `total` lines."""
    ends = [first for first, _ in starts[1:]] + [total]
    return tuple(
        Section(step, first, end - first) for (first, step), end in zip(starts, ends, strict=True) if end > first
    )
