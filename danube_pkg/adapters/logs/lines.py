"""Lines of a log by number: counts of line ends are cached, and continued where the log has grown."""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.core.logs.lines import (
    BLOCK_BYTES,
    MAX_SECTIONS,
    LineIndex,
    Lines,
    LogMap,
    Mark,
    Section,
    ShownLine,
    behind_line_end,
    sections,
    shown_lines,
)

KEPT_INDEXES = 256
"""Logs whose counts are cached; those of a log of 200 MB take 25 KB."""

READ_BYTES = 1024**2
"""Bytes that are read and counted at once."""

ANSWER_BYTES = 1024**2
"""Bytes of a log in one response; a screen shows a few KB."""

Parts = Sequence[tuple[int, int]]


class LineReader:
    """Reads lines and sections. May be called from several threads, of which one counts at a time."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[tuple[str, int | None], LineIndex] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, known: LogMap, parts: Parts, step: int | None, first: int, count: int) -> Lines:
        """Lines by number. parts: the byte ranges that count as the log. step: whose ranges they are, None for the
        whole log."""
        size = sum(end - begin for begin, end in parts)
        if not size:
            return Lines(0, 0, 0, 0, False, (), ())
        with path.open("rb") as file:
            index = self._counted(path, file.fileno(), parts, step, size)
            tail = read_parts(file.fileno(), parts, size - 1, size)
            total = index.ends + (tail != b"\n")
            first = max(0, total + first) if first < 0 else min(first, total)
            count = min(count, total - first)
            begin = _beginning(file.fileno(), parts, index, first)
            end = size if first + count >= total else _beginning(file.fileno(), parts, index, first + count)
            data = read_parts(file.fileno(), parts, begin, min(end, begin + ANSWER_BYTES))
        if begin + len(data) < end:  # too long for one response: whole lines, but at least one
            data = data[: data.rfind(b"\n") + 1] or data
        found = shown_lines(data, begin)
        reached = begin + len(data)
        is_open = first + len(found) == total and tail != b"\n"
        return Lines(first, total, size, reached, is_open, tuple(found), _marks(found, known, parts))

    def sections(self, path: Path, known: LogMap) -> Sequence[Section]:
        size = known.size_bytes
        if not size:
            return ()
        parts = [(0, size)]
        starts: list[tuple[int, int]] = []
        with path.open("rb") as file:
            index = self._counted(path, file.fileno(), parts, None, size)
            tail = read_parts(file.fileno(), parts, size - 1, size)
            for offset, step in known.runs():
                if len(starts) == MAX_SECTIONS:
                    break
                block, before = index.block_of_offset(offset)
                starts.append((before + read_parts(file.fileno(), parts, block, offset).count(b"\n"), step))
        return sections(starts, index.ends + (tail != b"\n"))

    def _counted(self, path: Path, file: int, parts: Parts, step: int | None, size: int) -> LineIndex:
        with self._lock:
            key = path.stem, step
            index = self._indexes.get(key)
            if index is None or index.size_bytes > size:
                index = self._indexes[key] = LineIndex()
            self._indexes.move_to_end(key)
            while len(self._indexes) > KEPT_INDEXES:
                self._indexes.popitem(last=False)
            while index.size_bytes < size:
                at = index.size_bytes
                index.extend(read_parts(file, parts, at, min(size, at + READ_BYTES)))
            return index


def _beginning(file: int, parts: Parts, index: LineIndex, line: int) -> int:
    """The offset at which a line begins."""
    block, before = index.block_of_line(line)
    data = read_parts(file, parts, block, min(block + BLOCK_BYTES, index.size_bytes))
    inside = behind_line_end(data, line - before)
    return index.size_bytes if inside is None else block + inside


def read_parts(file: int, parts: Parts, begin: int, end: int) -> bytes:
    """Bytes by their offset within the parts."""
    found, at = [], 0
    for first, last in parts:
        low, high = max(first, first + begin - at), min(last, first + end - at)
        if low < high:
            found.append(os.pread(file, high - low, low))
        at += last - first
        if at >= end:
            break
    return b"".join(found)


def _marks(lines: Sequence[ShownLine], known: LogMap, parts: Parts) -> tuple[Mark, ...]:
    """The lines at which time (in milliseconds), step or kind change."""
    marks: list[Mark] = []
    place, at = 0, 0
    for number, line in enumerate(lines):
        while place < len(parts) - 1 and line.offset >= at + parts[place][1] - parts[place][0]:
            at += parts[place][1] - parts[place][0]
            place += 1
        time_us, step, note = known.at(parts[place][0] + line.offset - at)
        mark = Mark(number, time_us // 1000 * 1000, step, note)
        if not marks or (marks[-1].time_us, marks[-1].step, marks[-1].note) != (mark.time_us, step, note):
            marks.append(mark)
    return tuple(marks)
