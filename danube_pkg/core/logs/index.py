"""The index beside a job's log: fixed-size records, one a flush, each covering the bytes that were appended before it.

A record names the time, the step, the byte range and the step's raw offset: that of the first raw byte which is not yet
emitted. Bytes without a record do not exist for readers; `usable` says how much of a log and its index survived a crash.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum

from danube_pkg.kit.records import Record

_BODY = struct.Struct("<QQQQQIHBx")
_SUM = struct.Struct("<I")
RECORD_BYTES = _BODY.size + _SUM.size


class RecordKind(IntEnum):
    """OUTPUT belongs to a step; NOTE is a line of Danube's own, written once per key."""

    OUTPUT = 1
    NOTE = 2


class IndexRecord(Record):
    """`time_us` since 1970; [begin, end) in the log; `key` names a note."""

    time_us: int
    begin: int
    end: int
    raw_offset: int
    key: int
    step: int
    attempt: int
    kind: RecordKind

    def encode(self) -> bytes:
        body = _BODY.pack(
            self.time_us, self.begin, self.end, self.raw_offset, self.key, self.step, self.attempt, self.kind
        )
        return body + _SUM.pack(zlib.crc32(body))


class Hit(Record):
    """A line that holds what was looked for. `line` counts from 1; `offset` is that of its first byte."""

    line: int
    offset: int
    text: str


class Found(Record):
    """`next`: the offset from which to look on, None where all was looked at."""

    hits: tuple[Hit, ...]
    next: int | None


def record_in(data: bytes, at: int = 0) -> IndexRecord | None:
    """The record that stands there, None for one that is torn or wrong."""
    body = data[at : at + _BODY.size]
    if len(data) < at + RECORD_BYTES or _SUM.unpack_from(data, at + _BODY.size)[0] != zlib.crc32(body):
        return None
    time_us, begin, end, raw_offset, key, step, attempt, kind = _BODY.unpack(body)
    return IndexRecord(time_us, begin, end, raw_offset, key, step, attempt, RecordKind(kind)) if begin <= end else None


def records(data: bytes, end: int = 0) -> Iterator[IndexRecord]:
    """The records up to the first that is torn, wrong, or does not continue the one before, which ended at `end`."""
    for at in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        record = record_in(data, at)
        if record is None or record.begin != end:
            return
        end = record.end
        yield record


def usable(index: bytes, log_bytes: int) -> Sequence[IndexRecord]:
    """The records whose bytes are all in the log; what lies behind them was never shown and is cut off."""
    return [record for record in records(index) if record.end <= log_bytes]


def note_key(text: str) -> int:
    """64 bits that name a note in the index."""
    return zlib.crc32(text.encode()) << 32 | zlib.adler32(text.encode())
