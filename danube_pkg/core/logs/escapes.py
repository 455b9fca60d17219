"""How programs write a text: raw, percent-encoded, with backslashes, as XML, in the quotes of a shell.

`follow` compares output with a value. It reads one way of escaping at a time and any mixture of literal and escaped
characters within it, since libraries differ in what they escape. Where a value may be folded, line breaks with the
blanks around them are skipped, at any width.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from urllib.parse import quote_from_bytes

from danube_pkg.kit.records import Record

MISMATCH = -1
GROWING = -2
"""Instead of the offset of an end: the output differs; or it ends before it differs."""

LONGEST_ESCAPE = 12
"""Bytes of the longest escape, a surrogate pair of JSON: as many may be missing for it at the end of a chunk."""

_CUT = re.compile(rb"(?:%[0-9A-Fa-f\s]{0,40}|&#?[A-Za-z0-9]{0,7}|\\[\\uUxdD0-9A-Fa-f]{0,11}|'[\\'\"]{0,3}|\"\"?)\Z")
"""An escape of several characters that ends with the chunk; a folded one with the indentation of the next line."""

_CUT_BYTES = 48

BREAK = re.compile(rb"[ \t]*(?:\r?\n|\r)[ \t\r\n]{0,400}")
"""A line break with the indentation of the next line and empty lines; bounded, since the output is held back for it."""

_FIRST_WINDOW, _LAST_WINDOW = 64, 8192
"""Bytes that are compared at once: few at first, since most candidates differ early."""

_OCTAL = re.compile(rb"[0-7]{1,3}")
"""`\\8` is not one of these, but a backslash and a digit."""

_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'", b"nbsp": b"\xc2\xa0"}
_LETTERS = {
    b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a", b"e": b"\x1b",
    b"E": b"\x1b",
}  # fmt: skip


class Escaping(Record):
    """One way of escaping. lead: finds where an escape or a line break may begin; escape: matches one there; options:
    what it may stand for."""

    lead: re.Pattern[bytes]
    escape: re.Pattern[bytes]
    options: Callable[[re.Match[bytes]], tuple[bytes, ...]]


def _percent(found: re.Match[bytes]) -> tuple[bytes, ...]:
    text = found.group()
    return (b" ", b"+") if text == b"+" else (bytes([int(b"".join(text[1:].split()), 16)]),)


def _code_point(number: int) -> bytes:
    return chr(number).encode(errors="surrogatepass") if number < 0x110000 else b""


def _backslash(found: re.Match[bytes]) -> tuple[bytes, ...]:
    text = found.group()[1:]
    kind, digits = text[:1], text[1:]
    if kind in b"uU" and digits:
        units = [int(one, 16) for one in re.split(rb"\\u", digits)]
        if len(units) == 2:
            return (_code_point(0x10000 + ((units[0] & 0x3FF) << 10) + (units[1] & 0x3FF)),)
        return (_code_point(units[0]),)
    if kind == b"x" and digits:
        return bytes([int(digits, 16)]), _code_point(int(digits, 16))
    if _OCTAL.fullmatch(text):
        return bytes([int(text, 8) & 0xFF]), text
    return (_LETTERS.get(text, text), text)


def _entity(found: re.Match[bytes]) -> tuple[bytes, ...]:
    name = found.group()[1:-1].lower()
    if name.startswith(b"#"):
        return (_code_point(int(name[2:], 16) if name[1:2] == b"x" else int(name[1:])),)
    return (_NAMED.get(name, b""),)


def _quotes(found: re.Match[bytes]) -> tuple[bytes, ...]:
    text = found.group()
    if text == b"'\\''":
        return (b"'",)
    return (text[1:2], text) if len(text) == 2 else (text[2:-2],)


def _base64(found: re.Match[bytes]) -> tuple[bytes, ...]:
    return _percent(found) if found.group()[:1] == b"%" else _backslash(found)


_PERCENT = rb"%(?:\r?\n[ \t]*)?[0-9A-Fa-f](?:\r?\n[ \t]*)?[0-9A-Fa-f]"
_BACKSLASH = (
    rb"\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}"
    rb"|[0-7]{1,3}|[^\r\n])"
)
_FOLD = rb"[ \t]*[\r\n]|"

RAW = Escaping(re.compile(rb"[ \t]*[\r\n]"), re.compile(rb"(?!)"), lambda found: ())
PERCENT = Escaping(re.compile(_FOLD + rb"[%+]"), re.compile(_PERCENT + rb"|\+"), _percent)
BACKSLASH = Escaping(re.compile(_FOLD + rb"\\"), re.compile(_BACKSLASH), _backslash)
XML = Escaping(
    re.compile(_FOLD + rb"&"), re.compile(rb"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,5});"), _entity
)
SHELL = Escaping(re.compile(_FOLD + rb"['\"]"), re.compile(rb"'\\''|'\"'+\"'|''|\"\""), _quotes)
BASE64 = Escaping(re.compile(_FOLD + rb"[%\\]"), re.compile(_PERCENT + rb"|" + _BACKSLASH), _base64)
"""base64 in URLs and JSON: the only special characters are `+`, `/`, `=` and the line breaks."""

TEXT_ESCAPINGS = (RAW, PERCENT, BACKSLASH, XML, SHELL)


def follow(output: bytes, at: int, value: bytes, escaping: Escaping, *, folds: bool) -> int:
    """Where the value that begins at an offset of the output ends; MISMATCH; GROWING.

    folds: line breaks in the output are skipped; the value is given without its own (see `unfolded`).
    """
    here, window = 0, _FIRST_WINDOW
    while here < len(value):
        limit = min(len(output), at + min(window, len(value) - here))
        lead = escaping.lead.search(output, at, min(len(output), limit + LONGEST_ESCAPE))
        if lead is not None and lead.start() < limit:
            limit = lead.start()
        else:
            lead = None
        if output[at:limit] != value[here : here + limit - at]:
            return MISMATCH
        here += limit - at
        at, window = limit, min(2 * window, _LAST_WINDOW)
        if here == len(value):
            break
        if lead is None:
            if at == len(output):
                return GROWING
            continue
        at, here = _behind_lead(output, at, value, here, escaping, folds)
        if at < 0:
            return at
    return at


def _behind_lead(output: bytes, at: int, value: bytes, here: int, escaping: Escaping, folds: bool) -> tuple[int, int]:
    """(the offset in the output, in the value) after an escape, a line break, or the character itself."""
    found = escaping.escape.match(output, at)
    if found is not None:
        for option in escaping.options(found):
            if option and value.startswith(option, here):
                return found.end(), here + len(option)
            if folds and option in (b"\n", b"\r"):
                return _behind_blanks(output, found.end()), here
    fold = BREAK.match(output, at) if folds else None
    if fold is not None:
        return fold.end(), here
    if escaping is not RAW and len(output) - at < _CUT_BYTES and _CUT.match(output, at):
        return GROWING, here
    if value.startswith(output[at : at + 1], here):
        return at + 1, here + 1
    return MISMATCH, here


def _behind_blanks(output: bytes, at: int) -> int:
    while output[at : at + 1] in (b" ", b"\t"):
        at += 1
    return at


_ANY_BREAK = re.compile(rb"[ \t]*[\r\n][ \t\r\n]*")


def unfolded(value: bytes) -> bytes:
    """The value without line breaks, the blanks around them, and blanks at its ends."""
    return _ANY_BREAK.sub(b"", value.strip())


# --- the beginnings of a value as encoders write it

_SPECIAL = re.compile(rb"[^A-Za-z0-9_./-]")
_Each = Callable[[bytes], bytes]


def _sub(pattern: str, replacement: Callable[[bytes], bytes]) -> _Each:
    compiled = re.compile(pattern.encode(), re.DOTALL)
    return lambda text: compiled.sub(lambda found: replacement(found.group()), text)


def _each_byte(form: str) -> _Each:
    return lambda text: b"".join((form % byte).encode() for byte in text)


def _entities(quote: bytes, apostrophe: bytes, text: bytes) -> bytes:
    text = text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    return text.replace(b'"', quote).replace(b"'", apostrophe)


def _quoted(safe: str, blank: bytes, text: bytes) -> bytes:
    return quote_from_bytes(text, safe).encode().replace(b"%20", blank)


def _percent_encoders() -> Iterator[_Each]:
    # Python's quote and its safe="", encodeURIComponent, encodeURI, PHP and Java (space as +), RFC 3986 sub-delims
    for safe in ("/", "", "!'()*~", ";,/?:@&=+$!'()*#", "*", "$&+,/:;=@"):
        yield partial(_quoted, safe, b"%20")
        yield partial(_quoted, safe, b"+")
    yield _sub("~", lambda one: b"%7e")
    yield _each_byte("%%%02x")


def _xml_encoders() -> Iterator[_Each]:
    for quote in (b'"', b"&quot;", b"&#34;", b"&#x22;"):
        for apostrophe in (b"'", b"&#39;", b"&#x27;", b"&apos;", b"&#039;"):
            yield partial(_entities, quote, apostrophe)
    yield _each_byte("&#%d;")
    yield _each_byte("&#x%x;")


def _json(text: str, ascii_only: bool) -> bytes:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()


def _backslash_encoders() -> Iterator[_Each]:
    # printf %q; $'…' with octal or hexadecimal; every byte; quotes of C, SQL and Python
    yield _sub(r"[^A-Za-z0-9_@%+:,./=\x80-\xff-]", lambda one: b"\\" + one)
    yield _sub(r"[^A-Za-z0-9_@%+:,./=~\x80-\xff-]", lambda one: b"\\" + one)
    yield _sub(r"[^ -~]|\\", lambda one: b"\\\\" if one == b"\\" else b"\\%03o" % one[0])
    yield _sub(r"[^ -~]|[\\']", lambda one: b"\\" + one if one in b"\\'" else b"\\%03o" % one[0])
    yield _sub(r"[^ -~]|\\", lambda one: b"\\\\" if one == b"\\" else b"\\x%02x" % one[0])
    yield _sub(r"[\\]", lambda one: b"\\" + one)
    yield _sub(r"[\\']", lambda one: b"\\" + one)
    yield _sub(r"[\\'\"]", lambda one: b"\\" + one)
    yield _sub(r"[\\\"$`]", lambda one: b"\\" + one)
    yield _each_byte("\\x%02x")
    yield _each_byte("\\%03o")
    yield _each_byte("\\u%04x")


def _shell_encoders() -> Iterator[_Each]:
    yield lambda text: text.replace(b"'", b"'\\''")
    yield _sub("'+", lambda one: b"'\"" + one + b"\"'")
    yield lambda text: text.replace(b"'", b"''")
    yield lambda text: text.replace(b'"', b'""')


_ENCODERS: Sequence[tuple[Escaping, Sequence[_Each]]] = (
    (PERCENT, tuple(_percent_encoders())),
    (XML, tuple(_xml_encoders())),
    (BACKSLASH, tuple(_backslash_encoders())),
    (SHELL, tuple(_shell_encoders())),
)

_EVERY_BYTE = (
    (PERCENT, _each_byte("%%%02x")),
    (XML, _each_byte("&#%d;")),
    (XML, _each_byte("&#x%x;")),
    (BACKSLASH, _each_byte("\\x%02x")),
    (BACKSLASH, _each_byte("\\%03o")),
    (BACKSLASH, _each_byte("\\u%04x")),
)


def encoded_heads(head: bytes) -> set[tuple[Escaping | None, bytes]]:
    """(the escaping that reads it, the text) for each way in which programs write the beginning of a value. None: the
    text is literal, so that any escaping may follow."""
    found: set[tuple[Escaping | None, bytes]] = {(None, head)}
    if _SPECIAL.search(head) is None:
        found |= {(escaping, encode(head)) for escaping, encode in _EVERY_BYTE}
        found.add((BACKSLASH, head.replace(b"/", b"\\/")))
        found.add((PERCENT, head.replace(b"/", b"%2f")))
        return {one for one in found if one[1] != head or one[0] is None}
    for escaping, encoders in _ENCODERS:
        found |= {(escaping, encode(head)) for encode in encoders}
    found |= {(BACKSLASH, text) for text in _json_heads(head)}
    found |= set(_character_heads(head))
    return {one for one in found if one[1] != head or one[0] is None}


def _character_heads(head: bytes) -> Iterator[tuple[Escaping, bytes]]:
    """Every character by its number, and those outside of ASCII alone."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return
    for form in ("&#%d;", "&#x%x;"):
        yield XML, "".join(form % ord(one) for one in text).encode()
        for quote in ("&quot;", "&#34;", '"'):
            some = _entities(quote.encode(), b"&#39;", head).decode()
            yield XML, "".join(one if ord(one) < 127 else form % ord(one) for one in some).encode()
    yield BACKSLASH, "".join(f"\\u{ord(one):04x}" for one in text).encode()


def base64_heads(head: bytes) -> set[bytes]:
    """The beginning of base64 as it is in text, URLs and JSON."""
    if b"+" not in head and b"/" not in head:
        return {head}
    percent = head.replace(b"+", b"%2b").replace(b"/", b"%2f")
    escaped = head.replace(b"/", b"\\/")
    return {head, percent, escaped, *(one.replace(b"+", b"\\u002b") for one in (head, escaped))}


def _json_heads(head: bytes) -> Iterator[bytes]:
    """JSON as Python and JavaScript, Go (`\\u0026`, `\\u003c`, `\\u003e`), and PHP (`\\/`) write it."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return
    for ascii_only in (True, False):
        plain = _json(text, ascii_only)
        html = re.sub(rb"[<>&]", lambda found: b"\\u%04x" % found.group()[0], plain)
        strict = re.sub(rb"[<>&'+]", lambda found: b"\\u%04x" % found.group()[0], plain)
        for one in (plain, html, strict, strict.replace(b'\\"', b"\\u0022")):
            yield one
            yield one.replace(b"/", b"\\/")
    yield repr(text)[1:-1].encode()
