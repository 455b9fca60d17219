"""Compressed layers: read, decompressed, hashed and bounded in pieces.

No piece is larger than PIECE_BYTES, however much a few compressed bytes expand to.
"""

import hashlib
import sys
import zlib
from collections.abc import Iterator
from typing import IO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 512 * 1024

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP_AND_HEADER = 16 + zlib.MAX_WBITS


class LayerBroken(Exception):
    """A layer that cannot be unpacked. str(): the cause, as the end of a sentence."""


def pieces_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The next `size` bytes of a file in pieces. Raises LayerBroken if it ends before."""
    left = size
    while left:
        data = file.read(min(left, PIECE_BYTES))
        if not data:
            raise LayerBroken(f"it ends {left} bytes early")
        left -= len(data)
        yield data


def unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompresses a layer by its first bytes: gzip, zstd (each may be several streams in a row) or plain."""
    first = next(pieces, b"")
    if first.startswith(_GZIP):
        return _gunzipped(first, pieces)
    if first.startswith(_ZSTD) or _is_skippable(first):
        return _unzstd(first, pieces)
    return _with(first, pieces)


def _is_skippable(data: bytes) -> bool:
    """Whether it is a zstd frame without content, which some tools write first (RFC 8878 section 3.1.2)."""
    return len(data) >= 4 and data[0] & 0xF0 == 0x50 and data[1:4] == b"\x2a\x4d\x18"


def _with(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _gunzipped(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    stream, begun = zlib.decompressobj(_GZIP_AND_HEADER), False
    for data in _with(first, pieces):
        while data:
            try:
                made = stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise LayerBroken(f"its gzip stream is damaged ({error})") from error
            begun = True
            if made:
                yield made
            data = stream.unconsumed_tail
            if stream.eof:
                data = stream.unused_data.lstrip(b"\0")  # some tools write padding
                stream, begun = zlib.decompressobj(_GZIP_AND_HEADER), False
    if begun:
        raise LayerBroken("its gzip stream ends early")


def _unzstd(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    stream, begun = zstd.ZstdDecompressor(), False
    for data in _with(first, pieces):
        while data or (begun and not stream.needs_input):
            try:
                made = stream.decompress(data, PIECE_BYTES)
            except zstd.ZstdError as error:
                raise LayerBroken(f"its zstd stream is damaged ({error})") from error
            begun, data = True, b""
            if made:
                yield made
            if stream.eof:
                data = stream.unused_data
                stream, begun = zstd.ZstdDecompressor(), False
    if begun:
        raise LayerBroken("its zstd stream ends early")


class LayerStream:
    """An archive that is read by `take` and `copy`; hash and limit count everything that was read."""

    def __init__(self, pieces: Iterator[bytes], limit_bytes: int) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")
        self._hash = hashlib.sha256()
        self._limit = limit_bytes
        self.size_bytes = 0

    def _next(self) -> bool:
        data = next(self._pieces, b"")
        self._held = memoryview(data)
        self._hash.update(data)
        self.size_bytes += len(data)
        if self.size_bytes > self._limit:
            raise LayerBroken(f"it unpacks to more than {self._limit >> 20} MB, too much for its compressed size")
        return bool(data)

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes, or b"" at the end. Raises LayerBroken if it ends in between."""
        parts, left = [], size
        while left:
            if not self._held and not self._next():
                if left == size:
                    return b""
                raise LayerBroken("its archive ends in the middle of a file")
            part = self._held[:left]
            self._held = self._held[len(part) :]
            left -= len(part)
            parts.append(part)
        return b"".join(parts)

    def copy(self, size: int) -> Iterator[memoryview]:
        """As `take`, in pieces; each must be used before the next one is requested."""
        left = size
        while left:
            if not self._held and not self._next():
                raise LayerBroken("its archive ends in the middle of a file")
            part = self._held[:left]
            self._held = self._held[len(part) :]
            left -= len(part)
            yield part

    def pass_over(self, size: int) -> None:
        """Skips `size` bytes, which are hashed too."""
        for _ in self.copy(size):
            continue

    def finish(self) -> str:
        """Reads what follows the archive's end; returns the digest of everything."""
        while self._next():
            continue
        return f"sha256:{self._hash.hexdigest()}"
