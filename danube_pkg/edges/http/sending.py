"""The way out of one response: its head through h11, its body in one write or as a stream, with the client's pace obeyed."""

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus

import h11

from danube_pkg.edges.http.messages import Response, Stream

_NEVER = float("inf")
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_date: tuple[int, str] = (0, "")


def http_date() -> str:
    """Now, as a Date header has it; made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = now, formatdate(now, usegmt=True)
    return _date[1]


class Frame:
    """Bytes for many readers: the chunk around them is made once, whoever takes them."""

    __slots__ = ("chunk", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data)


class Sender:
    """One response. `paused_since` is when the client stopped taking, in the loop's monotonic seconds."""

    __slots__ = ("_chunked", "_lost", "_ready", "_transport", "_wire", "paused_since")

    def __init__(self, transport: asyncio.Transport, wire: h11.Connection) -> None:
        self._transport = transport
        self._wire = wire
        self._ready: asyncio.Future[None] | None = None
        self._chunked = False
        self._lost = False
        self.paused_since = _NEVER

    # --- the transport's pace

    def pause(self) -> None:
        self.paused_since = time.monotonic()

    def resume(self) -> None:
        self.paused_since = _NEVER
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def lose(self) -> None:
        self._lost = True
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ConnectionResetError("the client is gone"))

    async def drain(self) -> None:
        """Wait while the client takes nothing. Raises ConnectionError when it is gone."""
        if self._lost or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if self.paused_since is not _NEVER:
            self._ready = asyncio.get_running_loop().create_future()
            try:
                await self._ready
            finally:
                self._ready = None

    @property
    def waiting_bytes(self) -> int:
        """What was written and the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    def write(self, frame: Frame) -> None:
        """Part of a stream, straight to the transport."""
        self._transport.write(frame.chunk if self._chunked else frame.data)

    # --- responses

    def send_continue(self) -> None:
        self._transport.write(self._wire.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")

    async def send(self, response: Response, request_id: str, *, head_only: bool, last: bool) -> None:
        """Raises ConnectionError."""
        body = response.body
        headers = [("date", http_date()), ("x-request-id", request_id), *response.headers]
        if isinstance(body, bytes) and response.status not in (204, 304):
            headers.append(("content-length", str(len(body))))
        if last:
            headers.append(("connection", "close"))
        send = self._wire.send
        head = (
            send(h11.Response(status_code=response.status, headers=headers, reason=_REASONS.get(response.status, b"")))
            or b""
        )
        if head_only:
            self._transport.write(head + (send(h11.EndOfMessage()) or b""))
        elif isinstance(body, bytes):
            data = (send(h11.Data(data=body)) or b"") if body else b""
            self._transport.write(b"".join((head, data, send(h11.EndOfMessage()) or b"")))
        else:
            self._transport.write(head)
            self._chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
            if isinstance(body, Stream):
                await body.run(self)
            else:
                await self._send_parts(body)
            self._transport.write(send(h11.EndOfMessage()) or b"")
        await self.drain()

    async def _send_parts(self, parts: AsyncIterator[bytes]) -> None:
        try:
            async for part in parts:
                self._transport.write(self._wire.send(h11.Data(data=part)) or b"")
                await self.drain()
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()
