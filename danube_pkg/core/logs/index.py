"""The index beside a job's log: records of fixed size, one for each append, which cover the bytes appended before them.

A record has the time, the step, the byte range and the step's raw offset: the offset of the first raw byte that was not
yet written to the log. Readers see only bytes with a record; `usable` says how much of a log and its index survived a
crash.
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
    """OUTPUT: bytes that a step printed. NOTE: a line of Danube itself, written once per key."""

    OUTPUT = 1
    NOTE = 2


class IndexRecord(Record):
    """One record. time_us: microseconds since 1970. begin, end: the byte range [begin, end) in the log. key: of a
    note."""

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
    """A line that contains the searched text. line: counts from 1. offset: of its first byte."""

    line: int
    offset: int
    text: str


class Found(Record):
    """The result of a search. next: the offset from which to continue, None where every hit is among these.

    count: the lines with the text from the begin of the search to the offset `searched`, with those that are not among
    the hits.
    """

    hits: tuple[Hit, ...]
    next: int | None
    count: int
    searched: int


def record_in(data: bytes, at: int = 0) -> IndexRecord | None:
    """The record at an offset of the index; None for one that is incomplete or has a wrong checksum."""
    body = data[at : at + _BODY.size]
    if len(data) < at + RECORD_BYTES or _SUM.unpack_from(data, at + _BODY.size)[0] != zlib.crc32(body):
        return None
    time_us, begin, end, raw_offset, key, step, attempt, kind = _BODY.unpack(body)
    return IndexRecord(time_us, begin, end, raw_offset, key, step, attempt, RecordKind(kind)) if begin <= end else None


def records(data: bytes, end: int = 0) -> Iterator[IndexRecord]:
    """The records up to the first that is incomplete, wrong, or does not continue the one before, which ended at
    `end`."""
    for at in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        record = record_in(data, at)
        if record is None or record.begin != end:
            return
        end = record.end
        yield record


def usable(index: bytes, log_bytes: int) -> Sequence[IndexRecord]:
    """The records whose bytes are all in the log. The bytes after them were never shown to readers and are cut off."""
    return [record for record in records(index) if record.end <= log_bytes]


def note_key(text: str) -> int:
    """The key of a note in the index: 64 bits of its text."""
    return zlib.crc32(text.encode()) << 32 | zlib.adler32(text.encode())
