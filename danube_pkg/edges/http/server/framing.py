"""Stricter checks of HTTP/1.1 than h11 makes (RFC 9112 sections 2.2, 5, 6, 11.2).

Each refuses something in which two parsers could see two different requests.
"""

import re

import h11

from danube_pkg.core.errors import PlatformError

HEAD_BYTES = 32 * 1024
"""Room for all cookies of a company's domain; more is an attack or a mistake."""

MAX_HEADERS = 100
"""A browser behind three proxies sends about forty."""

_UNCLEAR = re.compile(rb"\r(?!\n)|(?<!\r)\n|\r\n[ \t]|\0")
_LENGTH_LIST = re.compile(rb"\ncontent-length:[^\r]*,", re.IGNORECASE)

_ONCE = frozenset({"authorization", "content-type", "host", "last-event-id", "origin", "range", "x-csrf-token"})
"""Headers that a request must not repeat."""

HINT = "make the request with an HTTP library, and check that no proxy changes it"


class BadFraming(PlatformError):
    """The bytes are not an unambiguous request. The connection is closed after the answer."""

    def __init__(self, reference: str, what: str, *, status: int = 400) -> None:
        super().__init__(reference, what, hint=HINT)
        self.status = status


def check_head(head: bytes) -> None:
    """Raises BadFraming for a bare CR or LF, a folded header line, a NUL, or a list of lengths."""
    if _UNCLEAR.search(head):
        raise BadFraming("head-unclear", "a header line holds a bare CR or LF, a fold or a NUL")
    if _LENGTH_LIST.search(head):
        raise BadFraming("length-unclear", "a request must have one Content-Length")


def check_framing(request: h11.Request) -> bool:
    """Whether a body follows. Raises BadFraming if its length is given twice or is not a number."""
    if request.http_version not in (b"1.1", b"1.0"):
        raise BadFraming("version-unknown", "this server speaks HTTP/1.1 only", status=505)
    lengths = coded = 0
    length = b"0"
    for name, value in request.headers:
        if name == b"content-length":
            lengths, length = lengths + 1, value
        elif name == b"transfer-encoding":
            coded += 1
    if len(request.headers) > MAX_HEADERS:
        raise BadFraming("too-many-headers", f"a request has at most {MAX_HEADERS} headers", status=431)
    if coded and (lengths or request.http_version == b"1.0"):
        raise BadFraming("length-unclear", "a body must have a Content-Length or a Transfer-Encoding, not both")
    if lengths > 1 or not length.isdigit():
        raise BadFraming("length-unclear", "a request must have one Content-Length")
    return bool(coded) or int(length) > 0


def announced_bytes(request: h11.Request) -> int:
    """The Content-Length; 0 if there is none."""
    return next((int(value) for name, value in request.headers if name == b"content-length"), 0)


def wants_of(request: h11.Request) -> tuple[bool, bool]:
    """(whether the client speaks HTTP/1.1, whether it wants to keep the connection)."""
    modern = bool(request.http_version == b"1.1")
    closes = any(name == b"connection" and b"close" in value.lower() for name, value in request.headers)
    return modern, modern and not closes


def headers_of(request: h11.Request) -> dict[str, str]:
    """By name in lower case; repeated headers are joined. Raises BadFraming for one that must not be repeated."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        known = headers.get(name)
        if known is not None:
            if name in _ONCE:
                raise BadFraming("header-repeated", f"a request must have {name} only once")
            value = f"{known}; {value}" if name == "cookie" else f"{known}, {value}"
        headers[name] = value
    return headers
