"""Size and SHA-256 of files."""

import hashlib
import os
from pathlib import Path

from danube_pkg.kit.records import Record

_PART_BYTES = 1024**2


class Digest(Record):
    """Size in bytes and SHA-256, in hexadecimal digits."""

    size_bytes: int
    sha256: str


EMPTY = Digest(0, hashlib.sha256().hexdigest())


def digest_of(data: bytes) -> Digest:
    """The digest of bytes."""
    return Digest(len(data), hashlib.sha256(data).hexdigest())


def digest_of_file(path: Path, size_bytes: int | None = None) -> Digest:
    """The digest of a file, or of its first bytes; EMPTY for one that does not exist. Raises OSError."""
    hash_, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while part := file.read(_PART_BYTES if size_bytes is None else min(_PART_BYTES, size_bytes - done)):
                hash_.update(part)
                done += len(part)
    except FileNotFoundError:
        return EMPTY
    return Digest(done, hash_.hexdigest())


def whole_lines(path: Path) -> int:
    """The bytes of a file up to the end of its last whole line; 0 for one that does not exist."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        end = os.fstat(descriptor).st_size
        while end > 0:
            begin = max(0, end - _PART_BYTES)
            at = os.pread(descriptor, end - begin, begin).rfind(b"\n")
            if at >= 0:
                return begin + at + 1
            end = begin
        return 0
    finally:
        os.close(descriptor)
