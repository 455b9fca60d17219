"""One connection: h11 parses, requests are served one after the other, and everything a client can make long is
bounded.

It is an `asyncio.Protocol`, not a stream: between two requests a connection has no task, no parser and no buffer, so
that ten thousand idle ones cost little. A task runs only while a request is served. Deadlines are plain numbers that
the server's one sweep compares, instead of a timer for each wait.

h11 accepts what RFC 9112 allows a server to accept. `check_head` and `check_framing` refuse more, because bytes that
two parsers read differently let an attacker smuggle a request past a proxy.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import h11

from danube_pkg.core.errors import Invalid, TooLarge, Unavailable
from danube_pkg.edges.http.server.body_memory import BodyMemory
from danube_pkg.edges.http.server.framing import (
    HEAD_BYTES,
    HINT,
    BadFraming,
    announced_bytes,
    check_framing,
    check_head,
    headers_of,
    wants_of,
)
from danube_pkg.edges.http.server.messages import Request, Response, Stream, problem
from danube_pkg.edges.http.server.response_writer import Sender
from danube_pkg.edges.http.server.security import SAFE_METHODS
from danube_pkg.kit.tasks import TaskOwner

IDLE_SECONDS = 75.0
"""Between two requests. Longer than the 60 s after which proxies close idle connections, so that they close first."""

HEAD_SECONDS = 15.0
"""For a whole request head: 32 KB over a slow mobile connection."""

BODY_SECONDS = 30.0
"""For a whole body."""

WRITE_SECONDS = 60.0
"""A client that reads nothing for so long is disconnected."""

LINGER_SECONDS = 2.0
"""After an error for a request that was not read to its end: closing at once could make the client's system drop the
answer."""

READ_AHEAD_BYTES = 64 * 1024
"""What a client may send while a request is served; then reading pauses."""

_NEVER = float("inf")

_INCOMPLETE = (h11.IDLE, h11.SEND_BODY, h11.ERROR)
"""The states of a client that has not sent all of a request."""

_STOPPING = Unavailable(
    "server-stopping", "the server is stopping", hint="repeat the request when the next server runs"
)

_log = logging.getLogger("danube.http")

Handle = Callable[[Request], Awaitable[Response]]


class Edge(Protocol):
    """The server, as its connections need it."""

    tasks: TaskOwner
    stopping: bool

    def opened(self, connection: "Connection") -> bool: ...
    def closed(self, connection: "Connection") -> None: ...
    async def handle(self, request: Request) -> Response: ...


class Connection(asyncio.Protocol):
    """Serves requests until either side closes. local: it is a connection to the owner's unix socket."""

    __slots__ = (
        "_announced_bytes",
        "_buffer",
        "_edge",
        "_eof",
        "_finished",
        "_more",
        "_request",
        "_sender",
        "_streaming",
        "_task",
        "_transport",
        "_wire",
        "address",
        "deadline",
        "local",
    )

    def __init__(self, edge: Edge, *, local: bool) -> None:
        self._edge = edge
        self.local = local
        self.address = ""
        self.deadline = _NEVER
        self._announced_bytes = 0
        self._buffer: bytearray | None = None
        self._eof = False
        self._finished = False
        self._more: asyncio.Future[None] | None = None
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._wire: h11.Connection | None = None
        self._sender: Sender | None = None
        self._streaming = False

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = "unix-socket" if self.local else str(peer[0]) if peer else ""
        self._rest()
        if not self._edge.opened(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._finished:
            return
        if self._buffer is None:
            self._buffer = bytearray()
        self._buffer += data
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
        elif self._task is None:
            self.deadline = time.monotonic() + HEAD_SECONDS
            self._task = self._edge.tasks.start("http", self._serve())
        elif len(self._buffer) > READ_AHEAD_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """A client that has closed its side may still be waiting for its answer."""
        self._eof = True
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
        return self._task is not None and self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        if self._sender is not None:
            self._sender.pause()

    def resume_writing(self) -> None:
        if self._sender is not None:
            self._sender.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self._edge.closed(self)
        self._eof = True
        if self._sender is not None:
            self._sender.lose()
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
        if self._streaming and self._task is not None:
            self._task.cancel()

    # --- called by the server

    def sweep(self, now: float) -> None:
        """Called once a second: ends what has passed its deadline."""
        if self._sender is not None and self._sender.paused_since <= now - WRITE_SECONDS:
            self._transport.abort()
        if now < self.deadline:
            return
        if self._more is not None and not self._more.done():
            self._more.set_exception(TimeoutError())
        elif self._task is None:
            self._transport.close()

    def stop(self) -> None:
        """Serve no further request: an idle connection closes now, a stream ends, a request is answered first. One
        that only reads is refused: it may wait for something outside, and can be repeated."""
        if self._task is None:
            self._transport.close()
        elif self._streaming or (self._request is not None and self._request.method in SAFE_METHODS):
            self._task.cancel()
        elif self._wire is not None and self._wire.their_state is h11.IDLE:
            self._transport.close()

    @property
    def serving(self) -> str:
        """Method and path of the request that is being served; "" for none."""
        return f"{self._request.method} {self._request.path}" if self._request is not None else ""

    def abort(self) -> None:
        self._transport.abort()

    def socket(self) -> Any:
        """The accepted socket, as asyncio shows it."""
        return self._transport.get_extra_info("socket")

    # --- requests

    def _rest(self) -> None:
        self._buffer = None
        self._wire = None
        self._sender = None
        self.deadline = time.monotonic() + IDLE_SECONDS
        self._transport.resume_reading()

    async def _serve(self) -> None:
        try:
            while await self._serve_one():
                if not self._buffer:
                    self._rest()
                    return
                self.deadline = time.monotonic() + HEAD_SECONDS
            self._finish()
        except (ConnectionError, TimeoutError) as error:
            _log.debug("connection-lost", extra={"fields": {"cause": str(error), "address": self.address}})
            self._transport.close()
        except asyncio.CancelledError:
            self._transport.close()  # the client disconnected, or the server is stopping
        except BaseException:
            self._transport.abort()  # in the middle of a body; the task's owner reports why
            raise
        finally:
            self._task = None

    def _finish(self) -> None:
        """Close. What the client still sends of a request that was not read is discarded until LINGER_SECONDS have
        passed."""
        self._finished = True
        unread = self._wire is not None and self._wire.their_state in _INCOMPLETE
        self._buffer = None
        if unread and not self._eof and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self.deadline = time.monotonic() + LINGER_SECONDS
        else:
            self._transport.close()

    async def _serve_one(self) -> bool:
        """Whether the connection can serve another request."""
        request_id = secrets.token_hex(8)
        self._wire = wire = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._sender = sender = Sender(self._transport)
        started = time.monotonic()
        request: Request | None = None
        try:
            event = await self._read_head(wire)
            if event is None:
                return False
            sender.modern, sender.persistent = wants_of(event)
            request = self._request = self._made_request(event, request_id)
            self._announced_bytes = announced_bytes(event)
            self.deadline = _NEVER
            response = await self._edge.handle(request)
        except asyncio.CancelledError:
            if request is None or not self._edge.stopping:
                raise
            response = problem(_STOPPING, request_id)
        except BadFraming as error:
            response = problem(error, request_id)
        except h11.RemoteProtocolError as error:
            refusal = Invalid("bad-request", "this is not an HTTP/1.1 request", cause=str(error), hint=HINT)
            response = problem(refusal, request_id, error.error_status_hint)
        except TimeoutError:
            slow = BadFraming("request-timeout", "the request did not arrive in time", status=408)
            response = problem(slow, request_id)
        self._request = None
        if request is None or self._edge.stopping or wire.their_state in _INCOMPLETE:
            sender.persistent = False
        self.deadline = _NEVER
        self._streaming = isinstance(response.body, Stream)
        try:
            await sender.send(response, request_id, head_only=request is not None and request.method == "HEAD")
        finally:
            self._streaming = False
        if request is not None:
            _log_access(request, response.status, started, request_id)
        return sender.persistent

    async def _read_head(self, wire: h11.Connection) -> h11.Request | None:
        """The request's head; None if the client closed before it was complete. Raises BadFraming, TimeoutError."""
        buffer = self._buffer
        assert buffer is not None
        searched = 0
        while (end := buffer.find(b"\r\n\r\n", max(0, searched - 3))) < 0:
            searched = len(buffer)
            if searched > HEAD_BYTES:
                raise BadFraming("head-too-large", f"a request head has at most {HEAD_BYTES} bytes", status=431)
            if not await self._wait_for_more():
                return None
        if end > HEAD_BYTES:
            raise BadFraming("head-too-large", f"a request head has at most {HEAD_BYTES} bytes", status=431)
        head = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        check_head(head)
        wire.receive_data(head)
        event = wire.next_event()
        assert isinstance(event, h11.Request)
        if not check_framing(event):
            wire.next_event()  # there is no body: the next event is the end of the message
        return event

    async def _wait_for_more(self) -> bool:
        """Wait for data; False if the client has closed its side. Raises TimeoutError."""
        if self._eof:
            return False
        self._transport.resume_reading()
        self._more = asyncio.get_running_loop().create_future()
        try:
            await self._more
        finally:
            self._more = None
        return bool(self._buffer) and not self._transport.is_closing()

    def _made_request(self, event: h11.Request, request_id: str) -> Request:
        target = event.target.decode("ascii", errors="replace")
        path, _, query = target.partition("?")
        if not path.startswith("/"):
            path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path
        return Request(
            method=event.method.decode("ascii"),
            path=path,
            query_text=query,
            headers=headers_of(event),
            local=self.local,
            address=self.address,
            request_id=request_id,
            read_body=self._read_body,
        )

    async def _read_body(self, limit_bytes: int, memory: BodyMemory | None = None) -> bytes:
        """A whole body. Raises TooLarge, BadFraming, Unavailable, TimeoutError, ConnectionError."""
        wire, sender = self._wire, self._sender
        assert wire is not None
        assert sender is not None
        try:
            return await self._take_body(wire, sender, limit_bytes, memory)
        except h11.RemoteProtocolError as error:
            raise BadFraming("body-unclear", f"the body is not valid HTTP/1.1: {error}") from error

    async def _take_body(
        self, wire: h11.Connection, sender: Sender, limit_bytes: int, memory: BodyMemory | None
    ) -> bytes:
        if self._announced_bytes > limit_bytes:
            raise TooLarge(
                "body-too-large", f"the body is larger than {limit_bytes} bytes", hint="send less, or in parts"
            )
        data, held, continued = bytearray(), 0, False
        self.deadline = time.monotonic() + BODY_SECONDS
        try:
            while wire.their_state is h11.SEND_BODY:
                event = wire.next_event()
                if event is h11.NEED_DATA:
                    if wire.they_are_waiting_for_100_continue and not continued:
                        continued = True
                        sender.send_continue()
                    await self._receive_more(wire)
                elif isinstance(event, h11.Data):
                    data += event.data
                    if len(data) > limit_bytes:
                        raise TooLarge(
                            "body-too-large",
                            f"the body is larger than {limit_bytes} bytes",
                            hint="send less, or in parts",
                        )
                    held = await memory.grow(held, len(data)) if memory is not None else 0
        finally:
            if memory is not None:
                memory.release(held)
        self._buffer = bytearray(wire.trailing_data[0]) + (self._buffer or b"")
        self.deadline = _NEVER
        return bytes(data)

    async def _receive_more(self, wire: h11.Connection) -> None:
        """Give the parser more of a body. Raises ConnectionError where the client has closed."""
        if not self._buffer and not await self._wait_for_more():
            raise ConnectionError("the client closed inside a body")
        wire.receive_data(bytes(self._buffer or b""))
        self._buffer = bytearray()


def _log_access(request: Request, status: int, started: float, request_id: str) -> None:
    if _log.isEnabledFor(logging.INFO):
        took_ms = round((time.monotonic() - started) * 1000, 1)
        fields = {
            "method": request.method,
            "path": request.path,
            "status": status,
            "ms": took_ms,
            "request_id": request_id,
            "actor": request.actor.name,
            "address": request.address,
        }
        _log.info("request", extra={"fields": fields})
