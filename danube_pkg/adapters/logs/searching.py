"""Searching a text in a log: one pass over the bytes with `re`, bounded in hits and in time.

The text of a line is what is seen of it: without colours and other control sequences, and only what follows the last
carriage return, as `shown_lines` and the page have it. Lines are never joined or removed, so that numbers stay valid.
"""

import re
import time
import unicodedata
from pathlib import Path

from danube_pkg.adapters.logs.lines import Parts, read_parts
from danube_pkg.core.logs.index import Found, Hit
from danube_pkg.kit.records import Mutable, field

CHUNK_BYTES = 4 * 1024**2
SECONDS = 2.0
"""How long a user waits for a part of a search; a log of 200 MB takes less than one second, one with colours two."""

SHOWN_BYTES = 400
"""Bytes of a line that a hit shows."""

_RETURNED = re.compile(rb"^[^\n]*\r(?=[^\r\n])", re.MULTILINE)
"""What a carriage return hides of a line; one at the line's end hides nothing."""

_CONTROL = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-Z\\^-~])|\r+$", re.MULTILINE
)
"""Control sequences of ECMA-48 (CSI, OSC and other strings, escapes), and the rest of a line end."""


class _Search(Mutable):
    """The state of one pass. line: lines before the block; wanted: hits that are returned, the others are counted."""

    pattern: re.Pattern[bytes]
    wanted: int
    deadline: float
    line: int = 0
    count: int = 0
    next: int | None = None
    hits: list[Hit] = field(default_factory=list)


def search_log(path: Path, parts: Parts, text: str, begin: int, limit: int, match_case: bool) -> Found:
    """The lines that contain the text, in the bytes of `parts`, from an offset among these on where a line begins.

    At most `limit` are returned, the others are counted, as far as the time allows: `searched` says how far.
    """
    size = sum(last - first for first, last in parts)
    if not path.exists() or begin >= size:
        return Found((), None, 0, size)
    search = _Search(_pattern(text, match_case), limit, time.monotonic() + SECONDS)
    with path.open("rb") as file:
        descriptor = file.fileno()
        search.line = _lines_before(descriptor, parts, begin)
        at, wanted_bytes = begin, CHUNK_BYTES
        while at < size:
            data = read_parts(descriptor, parts, at, min(size, at + wanted_bytes))
            end = len(data) if at + len(data) >= size else data.rfind(b"\n") + 1
            if end == 0 and wanted_bytes == CHUNK_BYTES:
                wanted_bytes *= 2  # a line longer than a chunk; one that is longer still is searched in pieces
                continue
            wanted_bytes, end = CHUNK_BYTES, end or len(data)
            if not data:
                break  # the file was cut meanwhile
            done = _search_block(search, data[:end], at)
            at += done
            if done < end or time.monotonic() > search.deadline:
                break
    return Found(
        tuple(search.hits), search.next if search.next is not None else at if at < size else None, search.count, at
    )


def _pattern(text: str, match_case: bool) -> re.Pattern[bytes]:
    """Bytes whose text is seen as this one: `re` knows the case of ASCII letters only, and a letter with an accent is
    one character or two (NFC, NFD)."""
    parts = []
    for character in unicodedata.normalize("NFC", text):
        cases = {character} if match_case or character.isascii() else {character, character.lower(), character.upper()}
        forms = {unicodedata.normalize(form, one).encode() for one in cases for form in ("NFC", "NFD")}
        parts.append(b"(?:" + b"|".join(map(re.escape, sorted(forms))) + b")" if len(forms) > 1 else re.escape(*forms))
    return re.compile(b"".join(parts), 0 if match_case else re.IGNORECASE)


def _lines_before(descriptor: int, parts: Parts, begin: int) -> int:
    count = 0
    for at in range(0, begin, CHUNK_BYTES):
        count += read_parts(descriptor, parts, at, min(begin, at + CHUNK_BYTES)).count(b"\n")
    return count


def seen(block: bytes) -> bytes:
    """The block's lines as they are seen, with the same line ends."""
    if b"\r" in block:
        block = _RETURNED.sub(b"", block)
    return _CONTROL.sub(b"", block) if b"\x1b" in block or b"\r" in block else block


def _search_block(search: _Search, block: bytes, at: int) -> int:
    """Search a block of whole lines. Returns how many of its bytes were searched: fewer when the time is over."""
    text = seen(block)
    origin = _Origin(block, same=len(text) == len(block))
    counted = position = 0
    while (match := search.pattern.search(text, position)) is not None:
        start = text.rfind(b"\n", 0, match.start()) + 1
        stop = text.find(b"\n", match.end())
        stop = len(text) if stop < 0 else stop
        search.line += (skipped := text.count(b"\n", counted, start))
        counted = start
        offset = origin.line_at(start, skipped)
        if len(search.hits) == search.wanted and search.next is None:
            search.next = at + offset
        if search.next is None:
            shown = text[start : min(stop, start + SHOWN_BYTES)].decode(errors="replace")
            search.hits.append(Hit(search.line + 1, at + offset, shown))
        elif search.count % 1024 == 0 and time.monotonic() > search.deadline:
            return offset
        search.count += 1
        position = stop + 1
        if position >= len(text):
            break
    search.line += text.count(b"\n", counted)
    return len(block)


class _Origin:
    """Where the lines of a seen text begin in the block. same: the text is the block itself."""

    def __init__(self, block: bytes, *, same: bool) -> None:
        self._block = block
        self._same = same
        self._at = 0

    def line_at(self, start: int, further: int) -> int:
        """The offset in the block of the line that begins at `start` in the text, `further` lines behind the last."""
        if self._same:
            return start
        for _ in range(further):
            self._at = self._block.find(b"\n", self._at) + 1
        return self._at
