"""The forms of secrets in output: how they are found, and how a candidate is verified.

Each form has an anchor, a few characters with which it begins, in a normalised spelling: lower case, one base64
alphabet, without blanks, line breaks and colons. Anchors are searched in normalised output, so one search finds folded,
indented and grouped text at any width. A candidate is then compared with the output itself. Whole forms of long values
are made only for that comparison: a set costs little more than its values.
"""

import base64
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated

from danube_pkg.core.logs.dumps import follow_hex, is_continued_row, start_of_row_before
from danube_pkg.core.logs.escapes import (
    BASE64,
    GROWING,
    MISMATCH,
    TEXT_ESCAPINGS,
    Escaping,
    base64_heads,
    encoded_heads,
    follow,
    unfolded,
)
from danube_pkg.core.logs.secret_lines import secret_lines
from danube_pkg.kit.records import HIDDEN, Record

ANCHOR_BYTES = 10
"""Long enough that other text hardly contains it; as many states of the automaton for each form."""

MIN_ANCHOR_BYTES = 3
"""A value of which less is left without blanks and colons is searched as it is."""

MIN_FOLDED_BYTES = 16
"""A shorter value of one line is not searched across line breaks: words at the ends of two lines may form it."""

MAX_ENCODED_LINES = 64
"""For so many lines of one value all escapes are known; of more, only those that begin literally. A key has 50."""

ROW_SKIP_BYTES = 3
"""Bytes of the value before the anchor of a ROW."""

_HEAD_BYTES = 3 * ANCHOR_BYTES
"""Bytes of a value from which anchors are made."""

LATE_MISMATCH = -3
"""A long value differed after its first bytes: comparing it took long."""

DROPPED = b" \t\r\n:"
_NORMAL = bytes(bytes([byte]).lower()[0] for byte in range(256)).translate(bytes.maketrans(b"-_", b"+/"))


def normalised(data: bytes) -> bytes:
    """The spelling in which anchors are searched."""
    return data.translate(_NORMAL, DROPPED)


class FormKind(Enum):
    """TEXT: literal or escaped. BASE64: in one of three alignments. HEX: hexadecimal. ROW: hexadecimal that begins at
    the end of the row before in a dump. EXACT: literal, and searched without an anchor."""

    TEXT = 1
    BASE64 = 2
    HEX = 3
    ROW = 4
    EXACT = 5


class Form(Record):
    """One form of a value. escaping: the one that reads a TEXT; None: any. before: bytes before it in its base64 group.
    url: base64's other alphabet. leading: characters before the anchor that the search drops."""

    kind: FormKind
    value: Annotated[bytes, HIDDEN]
    escaping: Escaping | None = None
    folds: bool = False
    whole_word: bool = False
    before: int = 0
    url: bool = False
    leading: int = 0

    @property
    def compared_bytes(self) -> int:
        """How much comparing it costs beyond its first bytes."""
        return len(self.value) if len(self.value) > _COMPARED_BYTES else 0

    def match(self, output: bytes, at: int, *, final: bool, only_head: bool = False) -> tuple[int, int]:
        """(start, end) of the form whose anchor is at an offset; the end is MISMATCH or GROWING where there is none.

        only_head: compare the first bytes only, for output that ends soon. final: no output follows.
        """
        start = at - self.leading
        if start < 0:
            return start, MISMATCH
        value = self.value
        if len(value) > _COMPARED_BYTES:
            end = self._end(value[:_COMPARED_BYTES], output, start, final)
            if end == MISMATCH or only_head:
                return start, end
        end = self._end(value, output, start, final)
        if end == MISMATCH and len(value) > _COMPARED_BYTES:
            return start, LATE_MISMATCH
        if self.kind is FormKind.ROW:
            start = start_of_row_before(output, start)
        return start, _at_word_ends(output, start, end, final) if self.whole_word else end

    def _end(self, value: bytes, output: bytes, start: int, final: bool) -> int:
        if self.kind is FormKind.BASE64:
            return follow(output, start, base64_of(value, self.before, url=self.url), BASE64, folds=True)
        if self.kind is FormKind.HEX:
            return follow_hex(output, start, value.hex().encode(), final=final)
        if self.kind is FormKind.ROW:
            if not is_continued_row(output, start, ROW_SKIP_BYTES):
                return MISMATCH
            return follow_hex(output, start, value[ROW_SKIP_BYTES:].hex().encode(), final=final)
        return _match_text(self, value, output, start)


_COMPARED_BYTES = 4 * _HEAD_BYTES
"""Compared first: a long value need not be encoded for candidates that differ early."""


def _match_text(form: Form, value: bytes, output: bytes, start: int) -> int:
    best = MISMATCH
    for escaping in TEXT_ESCAPINGS if form.escaping is None else (form.escaping,):
        end = follow(output, start, value, escaping, folds=form.folds)
        if end >= 0:
            return end
        best = min(best, end)
    return best


def _at_word_ends(output: bytes, start: int, end: int, final: bool) -> int:
    """The end, unless a word continues before or behind the match."""
    if end < 0 or (start and _is_word(output[start - 1 : start]) and _is_word(output[start : start + 1])):
        return end if end < 0 else MISMATCH
    if end == len(output):
        return end if final else GROWING
    return MISMATCH if _is_word(output[end - 1 : end]) and _is_word(output[end : end + 1]) else end


def _is_word(character: bytes) -> bool:
    return character.isalnum() or character == b"_"


def base64_of(value: bytes, before: int, *, url: bool) -> bytes:
    """The characters of a value's base64 that it alone determines, if so many bytes stand before it in its group."""
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    return encode(bytes(before) + value)[(0, 2, 3)[before] : (before + len(value)) * 8 // 6]


Anchored = tuple[bytes, Form]


def forms_of(value: bytes) -> Iterator[Anchored]:
    """(anchor, form) of every form of a value; the anchor of an EXACT one is empty."""
    stripped = value.strip()
    lines = list(secret_lines(stripped))
    text = unfolded(stripped)
    has_lines = len(text) != len(stripped)
    yield from _text_forms(text, folds=has_lines or len(text) >= MIN_FOLDED_BYTES)
    for line in lines:
        yield from _line_forms(line.text, line.whole_word, encoded=len(lines) <= MAX_ENCODED_LINES)
    variants = {stripped}
    if has_lines:
        unix = stripped.replace(b"\r\n", b"\n")
        variants |= {unix, unix.replace(b"\n", b"\r\n")}
    for one in variants:
        yield from _binary_forms(one)


def _text_forms(text: bytes, *, folds: bool, whole_word: bool = False) -> Iterator[Anchored]:
    for escaping, head in encoded_heads(_head_of(text)):
        anchor = normalised(head)[:ANCHOR_BYTES]
        leading = len(head) - len(head.lstrip(DROPPED))
        if len(anchor) >= MIN_ANCHOR_BYTES:
            yield anchor, Form(FormKind.TEXT, text, escaping, folds, whole_word, leading=leading)
        elif escaping is None:
            yield b"", Form(FormKind.EXACT, text[:_COMPARED_BYTES])


def _head_of(text: bytes) -> bytes:
    """Its first bytes, without the part of a character."""
    head = text[:_HEAD_BYTES]
    while len(text) > len(head) > _HEAD_BYTES - 4 and text[len(head)] & 0xC0 == 0x80:
        head = head[:-1]
    return head


def _line_forms(text: bytes, whole_word: bool, *, encoded: bool) -> Iterator[Anchored]:
    if encoded:
        yield from _text_forms(text, folds=False, whole_word=whole_word)
        return
    anchor = normalised(text[:_HEAD_BYTES])[:ANCHOR_BYTES]
    if len(anchor) >= MIN_ANCHOR_BYTES:
        yield anchor, Form(FormKind.TEXT, text, whole_word=whole_word)


def _binary_forms(value: bytes) -> Iterator[Anchored]:
    head = value[:_HEAD_BYTES]
    for before in range(3):
        text = base64_of(head, before, url=False)
        whole = base64_of(value[:_COMPARED_BYTES], before, url=False)
        for one in base64_heads(text):
            yield normalised(one)[:ANCHOR_BYTES], Form(FormKind.BASE64, value, before=before)
        if b"+" in whole or b"/" in whole or len(value) > _COMPARED_BYTES:
            yield normalised(text)[:ANCHOR_BYTES], Form(FormKind.BASE64, value, before=before, url=True)
    digits = head.hex().encode()
    yield digits[:ANCHOR_BYTES], Form(FormKind.HEX, value)
    if len(value) > ROW_SKIP_BYTES + 1:
        row = digits[2 * ROW_SKIP_BYTES :][:ANCHOR_BYTES]
        yield row, Form(FormKind.ROW, value)


def anchored(values: Iterable[bytes]) -> tuple[dict[bytes, list[Form]], list[Form]]:
    """(forms by anchor, EXACT forms) of all values."""
    found: dict[bytes, list[Form]] = {}
    exact: list[Form] = []
    for value in values:
        for anchor, form in forms_of(value):
            forms = found.setdefault(anchor, []) if anchor else exact
            if form not in forms:
                forms.append(form)
    return found, exact
