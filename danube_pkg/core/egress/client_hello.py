"""Reads the server name from the ClientHello of a TLS connection (RFC 8446, RFC 6066). Pure.

The message may be split anywhere, over TCP segments and TLS records. Input that a server could parse in another way
(two names, a repeated extension, inconsistent lengths) is malformed. With an encrypted ClientHello the outer name
counts, since it determines the destination of the connection.
"""

from collections.abc import Iterator

from danube_pkg.kit.records import Record

MAX_HELLO_BYTES = 64 * 1024
"""A ClientHello with post-quantum keys has 2 KiB, with a session ticket a few more."""

HANDSHAKE_RECORD = 22
MAX_RECORD_BYTES = 2**14
_CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 1, 0, 0

ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"
"""A fatal alert (access_denied) in plain text, which ends a refused connection."""


class MalformedHello(Exception):
    """TLS input that is invalid or ambiguous."""


class ClientHello(Record):
    """server_name: as it was sent, in its letter case; None if there is none."""

    server_name: str | None


def looks_like_tls(data: bytes | bytearray) -> bool:
    """Whether the first byte is that of a handshake record. No text protocol begins with it."""
    return data[:1] == bytes([HANDSHAKE_RECORD])


def read_client_hello(data: bytes | bytearray) -> ClientHello | None:
    """The ClientHello at the beginning of a stream; None while it is incomplete. Raises MalformedHello."""
    message = bytearray()
    at = 0
    while len(message) < 4 or len(message) < 4 + _size(message):
        if len(message) >= 4:
            _check_begin(message)
        if at >= MAX_HELLO_BYTES:
            raise MalformedHello("the ClientHello is too long")
        _check_record_begin(data[at : at + 2])
        if len(data) - at < 5:
            return None
        length = int.from_bytes(data[at + 3 : at + 5])
        if not 0 < length <= MAX_RECORD_BYTES:
            raise MalformedHello(f"a record of {length} bytes")
        if len(data) - at < 5 + length:
            return None
        message += data[at + 5 : at + 5 + length]
        at += 5 + length
    _check_begin(message)
    return ClientHello(_server_name(_Reader(bytes(message[4 : 4 + _size(message)]))))


def _size(message: bytearray) -> int:
    return int.from_bytes(message[1:4])


def _check_record_begin(record: bytes | bytearray) -> None:
    if record[:1] not in (b"", bytes([HANDSHAKE_RECORD])) or record[1:2] not in (b"", b"\x03"):
        raise MalformedHello("a record that is not a handshake record")


def _check_begin(message: bytearray) -> None:
    if message[0] != _CLIENT_HELLO:
        raise MalformedHello("the first message is not a ClientHello")
    if _size(message) > MAX_HELLO_BYTES:
        raise MalformedHello("the ClientHello is too long")


class _Reader:
    """Reads length-prefixed vectors; raises MalformedHello beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise MalformedHello("a length exceeds the message")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> "_Reader":
        return _Reader(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)


def _server_name(hello: _Reader) -> str | None:
    hello.take(2 + 32)
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        hello.vector(size)
    if hello.at_end:
        return None
    found: str | None = None
    seen: set[int] = set()
    for kind, value in _extensions(hello.vector(2)):
        if kind in seen:
            raise MalformedHello(f"extension {kind} twice")
        seen.add(kind)
        if kind == _SERVER_NAME:
            found = _host_name(value)
    if not hello.at_end:
        raise MalformedHello("bytes after the extensions")
    return found


def _extensions(data: _Reader) -> Iterator[tuple[int, _Reader]]:
    while not data.at_end:
        kind = data.number(2)
        yield kind, data.vector(2)


def _host_name(extension: _Reader) -> str:
    names = extension.vector(2)
    kind, name = names.number(1), names.vector(2)
    if kind != _HOST_NAME or not names.at_end or not extension.at_end:
        raise MalformedHello("not exactly one server name")
    text = name.rest().decode("ascii", errors="replace")
    if not text or not all(character.isalnum() or character in "-._" for character in text) or not text.isascii():
        raise MalformedHello("a server name that is not valid")
    return text
