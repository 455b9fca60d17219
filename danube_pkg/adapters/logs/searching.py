"""Searching a text in a log: one pass over the file with `re`, bounded in hits and in time."""

import re
import time
from pathlib import Path
from typing import BinaryIO

from danube_pkg.core.logs.index import Found, Hit

CHUNK_BYTES = 4 * 1024**2
SECONDS = 2.0
"""How long a user waits for a search; a log of 200 MB takes less than one second."""

SHOWN_BYTES = 400
"""Bytes of a line that a hit shows."""


def search_file(path: Path, size: int, text: str, begin: int, limit: int, match_case: bool) -> Found:
    """The lines that contain the text and begin at an offset from `begin` to `size`; at most `limit`."""
    if not path.exists() or begin >= size:
        return Found((), None)
    pattern = re.compile(re.escape(text.encode()), 0 if match_case else re.IGNORECASE)
    deadline = time.monotonic() + SECONDS
    hits: list[Hit] = []
    with path.open("rb") as file:
        line = _lines_before(file, begin)
        at = begin
        file.seek(begin)
        rest = b""
        while at < size:
            data = rest + file.read(min(CHUNK_BYTES, size - at - len(rest)))
            is_last = at + len(data) >= size
            end = len(data) if is_last else data.rfind(b"\n") + 1
            if end == 0:
                if len(data) < CHUNK_BYTES * 2:
                    rest = data  # a line longer than a chunk: searched together with the next one
                    continue
                end = len(data)
            line, full = _search_block(data[:end], at, line, pattern, limit, hits)
            if full or time.monotonic() > deadline:
                last = hits[-1] if full else None
                return Found(tuple(hits), _behind(last, data, at) if last else at + end)
            at, rest = at + end, data[end:]
    return Found(tuple(hits), None)


def _lines_before(file: BinaryIO, begin: int) -> int:
    left, count = begin, 0
    while left > 0 and (data := file.read(min(CHUNK_BYTES, left))):
        count += data.count(b"\n")
        left -= len(data)
    return count


def _search_block(
    block: bytes, at: int, line: int, pattern: re.Pattern[bytes], limit: int, hits: list[Hit]
) -> tuple[int, bool]:
    """(number of lines before the next block, whether the limit is reached); appends to `hits`."""
    counted = position = 0
    while (match := pattern.search(block, position)) is not None:
        start = block.rfind(b"\n", 0, match.start()) + 1
        stop = block.find(b"\n", match.end())
        stop = len(block) if stop < 0 else stop
        line += block.count(b"\n", counted, start)
        counted = start
        hits.append(Hit(line + 1, at + start, block[start : min(stop, start + SHOWN_BYTES)].decode(errors="replace")))
        if len(hits) >= limit:
            return line, True
        position = stop + 1
        if position >= len(block):
            break
    return line + block.count(b"\n", counted), False


def _behind(hit: Hit, data: bytes, at: int) -> int:
    """The offset at which the line after a hit begins."""
    stop = data.find(b"\n", hit.offset - at)
    return at + (len(data) if stop < 0 else stop + 1)
