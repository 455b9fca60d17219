"""The index of a finished log, of which only the needed records are read: the last one, one by bisection, those of one
step.

A log of an hour may have a million records, and a page that shows it requests its size with every part. So the size
comes from the last record, a time is found by bisection, and only the byte ranges of a step need a pass over all
records, which is cached.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danube_pkg.core.logs.index import (
    RECORD_BYTES,
    IndexRecord,
    RecordKind,
    record_in,
    usable,
)

KEPT_STEPS = 128
"""Steps whose ranges are cached; most steps have one range, since they print alone."""

Ranges = list[tuple[int, int]]


class LogIndex:
    """Reads indexes. May be called from several threads."""

    def __init__(self) -> None:
        self._ranges: OrderedDict[tuple[Path, int, int], Ranges] = OrderedDict()

    def size(self, log: Path) -> int:
        """Bytes of the log that have a record."""
        with _opened(log) as (descriptor, count):
            last = _record(descriptor, count - 1)
            before = _record(descriptor, count - 2) if count > 1 else None
            continues = last is not None and last.begin == (before.end if before is not None else 0)
            if last is not None and continues and last.end <= log.stat().st_size:
                return last.end
        records = self.records(log)  # the last record is incomplete
        return records[-1].end if records else 0

    def records(self, log: Path) -> list[IndexRecord]:
        """All usable records of a log's index."""
        if not log.exists():
            return []
        return list(usable(log.with_suffix(".idx").read_bytes(), log.stat().st_size))

    def ranges(self, log: Path, step: int) -> Ranges:
        """The byte ranges that a step printed; adjacent ones are joined."""
        if not log.exists():
            return []
        key = log, step, log.with_suffix(".idx").stat().st_size
        found = self._ranges.get(key)
        if found is None:
            found = self._ranges[key] = _ranges(self.records(log), step)
            while len(self._ranges) > KEPT_STEPS:
                self._ranges.popitem(last=False)
        return found

    def time_at(self, log: Path, offset: int) -> float | None:
        """When the byte at that offset was written, in Unix seconds."""
        with _opened(log) as (descriptor, count):
            record = _record(descriptor, _record_at(descriptor, count, offset))
        return record.time_us / 1e6 if record is not None and record.begin <= offset < record.end else None

    def owners(self, log: Path, begin: int, end: int) -> list[tuple[int, int]]:
        """Offset and step of each run of bytes of one step in a range; step 0 for lines of Danube itself."""
        found: list[tuple[int, int]] = []
        with _opened(log) as (descriptor, count):
            for number in range(_record_at(descriptor, count, begin), count):
                record = _record(descriptor, number)
                if record is None or record.begin >= end:
                    break
                step = record.step if record.kind is RecordKind.OUTPUT else 0
                if record.end > max(begin, record.begin) and (not found or found[-1][1] != step):
                    found.append((max(begin, record.begin), step))
        return found


@contextmanager
def _opened(log: Path) -> Iterator[tuple[int, int]]:
    """(descriptor of the index, number of its records); an empty file for a log that does not exist."""
    try:
        descriptor = os.open(log.with_suffix(".idx"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor, os.fstat(descriptor).st_size // RECORD_BYTES
    finally:
        os.close(descriptor)


def _record_at(descriptor: int, count: int, offset: int) -> int:
    """The number of the first record that ends behind an offset."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        record = _record(descriptor, middle)
        if record is None or record.end > offset:
            high = middle
        else:
            low = middle + 1
    return low


def _record(descriptor: int, number: int) -> IndexRecord | None:
    return record_in(os.pread(descriptor, RECORD_BYTES, number * RECORD_BYTES)) if number >= 0 else None


def _ranges(records: list[IndexRecord], step: int) -> Ranges:
    found: Ranges = []
    for record in records:
        if record.kind is RecordKind.OUTPUT and record.step == step and record.end > record.begin:
            if found and found[-1][1] == record.begin:
                found[-1] = found[-1][0], record.end
            else:
                found.append((record.begin, record.end))
    return found
