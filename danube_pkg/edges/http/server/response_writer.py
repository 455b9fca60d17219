"""Writes one response: head and body in one write, or a stream at the client's pace.

h11 parses requests, since an attacker controls them. The heads of responses are built here, because h11 checks every
header of every response, which took as long as everything else together (168 of 330 µs). Here each distinct head is
checked once, for line ends in headers, and cached.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from danube_pkg.core.errors import Defect
from danube_pkg.edges.http.server.messages import Frame, Response, Stream

_NEVER = float("inf")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_WITHOUT_BODY = (204, 304)
_HEADER = re.compile(r"[A-Za-z0-9-]+: [\t\x20-\x7e\x80-\xff]*")

_date: tuple[int, str] = (0, "")


def http_date() -> str:
    """The current time as a Date header; formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = now, formatdate(now, usegmt=True)
    return _date[1]


@lru_cache(maxsize=1024)
def head_of(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and headers, without the empty line at their end. Raises Defect for an invalid header."""
    lines = [f"{name}: {value}" for name, value in headers]
    for line in lines:
        if not _HEADER.fullmatch(line):
            raise Defect("header-invalid", f"an answer cannot have the header {line[:100]!r}")
    return "\r\n".join([f"HTTP/1.1 {status} {_REASONS.get(status, '')}", *lines, ""]).encode("latin-1")


class Sender:
    """Writes one response.

    paused_since: when the client stopped reading, in the loop's monotonic seconds; infinity while it reads. modern: the
    client speaks HTTP/1.1, so that a stream can be sent in chunks. persistent: it wants to keep the connection.
    """

    __slots__ = ("_chunked", "_lost", "_ready", "_transport", "modern", "paused_since", "persistent")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._ready: asyncio.Future[None] | None = None
        self._chunked = False
        self._lost = False
        self.modern = True
        self.persistent = True
        self.paused_since = _NEVER

    # --- called by the transport

    def pause(self) -> None:
        self.paused_since = time.monotonic()

    def resume(self) -> None:
        self.paused_since = _NEVER
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def lose(self) -> None:
        self._lost = True
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ConnectionResetError("the client has disconnected"))

    async def drain(self) -> None:
        """Wait until the client reads again. Raises ConnectionError if it has disconnected."""
        if self._lost or self._transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        if self.paused_since is not _NEVER:
            self._ready = asyncio.get_running_loop().create_future()
            try:
                await self._ready
            finally:
                self._ready = None

    @property
    def waiting_bytes(self) -> int:
        """How much was written and is not yet sent to the client."""
        return self._transport.get_write_buffer_size()

    def write(self, frame: Frame) -> None:
        """Write part of a stream to the transport."""
        self._transport.write(frame.chunk if self._chunked else frame.data)

    # --- responses

    def send_continue(self) -> None:
        self._transport.write(CONTINUE)

    async def send(self, response: Response, request_id: str, *, head_only: bool) -> None:
        """Raises ConnectionError."""
        body = response.body
        framing = self._framing(response)
        own = f"date: {http_date()}\r\nx-request-id: {request_id}\r\n{framing}\r\n"
        head = head_of(response.status, response.headers) + own.encode()
        if head_only or response.status in _WITHOUT_BODY:
            self._transport.write(head)
        elif isinstance(body, bytes):
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            if isinstance(body, Stream):
                await body.run(self)
            else:
                await self._send_parts(body, dict(response.headers).get("content-length"))
            if self._chunked:
                self._transport.write(b"0\r\n\r\n")
        await self.drain()

    def _framing(self, response: Response) -> str:
        """The headers that say where the body ends, and whether the connection closes after it (RFC 9112 section
        6.3)."""
        length = ""
        if isinstance(response.body, bytes):
            if response.status not in _WITHOUT_BODY:
                length = f"content-length: {len(response.body)}\r\n"
        elif not any(name == "content-length" for name, _ in response.headers):
            self._chunked = self.modern
            self.persistent = self.persistent and self.modern
            length = "transfer-encoding: chunked\r\n" if self.modern else ""
        return length if self.persistent else f"{length}connection: close\r\n"

    async def _send_parts(self, parts: AsyncIterator[bytes], announced: str | None) -> None:
        sent = 0
        try:
            async for part in parts:
                sent += len(part)
                self._transport.write(Frame(part).chunk if self._chunked else part)
                await self.drain()
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()
        if announced is not None and sent != int(announced):
            raise ConnectionAbortedError(f"the body has {sent} bytes, its Content-Length is {announced}")
