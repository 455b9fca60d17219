"""Hexadecimal as xxd, od, hexdump and openssl print it: in one piece, in groups, folded, in rows with offsets."""

import re

from danube_pkg.core.logs.escapes import BREAK, GROWING, MISMATCH

_BETWEEN = re.compile(rb"[ \t]{1,3}|:")
"""Between two bytes of a row."""

_ROW = re.compile(rb"(?:[ \t][^\r\n]{0,60})?\r?\n[0-9A-Fa-f]{6,16}:?[ \t]+")
"""The rest of a row, with the column of characters, and the offset of the next one."""

_OFFSET = re.compile(rb"[0-9A-Fa-f]{6,16}:?[ \t]")
_DIGITS = re.compile(rb"[0-9A-Fa-f]+")

MAX_ROW_BYTES = 120
"""Longer than a row of any of these programs."""


def follow_hex(output: bytes, at: int, digits: bytes, *, final: bool) -> int:
    """Where a value ends whose digits (in lower case) begin at an offset of the output; MISMATCH; GROWING.

    The end of a row with an offset is the end of its line, since a column of characters may follow. final: no output
    follows.
    """
    here = 0
    while True:
        run = _DIGITS.match(output, at, min(len(output), at + len(digits) - here))
        if run is not None:
            if run.group().lower() != digits[here : here + run.end() - at]:
                return MISMATCH
            here, at = here + run.end() - at, run.end()
        if here == len(digits):
            return _end_of_row(output, at, final)
        if at == len(output):
            return GROWING
        if here % 2:
            return MISMATCH
        following = _next_group(output, at, digits[here : here + 2])
        if following < 0:
            return following
        at = following


def _next_group(output: bytes, at: int, byte: bytes) -> int:
    """Where the next byte's digits begin, behind what separates it."""
    size = len(output)
    for separator in (_BETWEEN, BREAK, _ROW):
        found = separator.match(output, at)
        if separator is _BETWEEN and found is not None and output[at : at + 1] == b":":
            fold = BREAK.match(output, found.end())  # openssl ends a line with the colon
            found = fold or found
        if found is None:
            continue
        if output[found.end() : found.end() + 2].lower() == byte:
            return found.end()
        if size - found.end() < 2 and byte.startswith(output[found.end() :].lower()):
            return GROWING
    line_end = output.find(b"\n", at)
    is_cut = line_end < 0 and size - at < MAX_ROW_BYTES and is_row(output, at)
    is_cut = is_cut or (line_end >= 0 and size - line_end < 20 and is_row(output, at))
    return GROWING if is_cut else MISMATCH


def is_row(output: bytes, at: int) -> bool:
    """Whether the line that contains an offset begins with the offset of a dump."""
    begin = output.rfind(b"\n", max(0, at - MAX_ROW_BYTES), at) + 1
    return at - begin < MAX_ROW_BYTES and _OFFSET.match(output, begin, at) is not None


def is_continued_row(output: bytes, at: int, count: int) -> bool:
    """Whether fewer than so many bytes of the row stand before an offset: what belongs to it began in the row
    before."""
    begin = output.rfind(b"\n", max(0, at - MAX_ROW_BYTES), at) + 1
    offset = _OFFSET.match(output, begin, at)
    return begin > 0 and offset is not None and len(b"".join(output[offset.end() : at].split())) < 2 * count


def start_of_row_before(output: bytes, at: int) -> int:
    """The offset at which the line before begins: the first bytes of a value may be in it."""
    begin = output.rfind(b"\n", 0, at)
    return output.rfind(b"\n", max(0, begin - MAX_ROW_BYTES), max(0, begin)) + 1


def _end_of_row(output: bytes, at: int, final: bool) -> int:
    if not is_row(output, at):
        return at
    line_end = output.find(b"\n", at, at + MAX_ROW_BYTES)
    if line_end >= 0:
        return line_end
    if len(output) - at >= MAX_ROW_BYTES:
        return at
    return len(output) if final else GROWING
