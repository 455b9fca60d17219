"""Plain HTTP passed on, request by request: each is decided by the host that it is for, whatever connection it came over.

h11 stands on both sides, so that what is passed on is framed anew and a request cannot hide in another one. A connection to
the outside is kept for the next request to the same place. No `Via` is added: servers answer differently to it.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable

import h11

from danube_pkg.adapters.egress.gate import NO_TARGET, Gate, Passage, Stopped
from danube_pkg.adapters.egress.relay import (
    IDLE_SECONDS,
    Traffic,
    both_until_idle,
    relay_one_way,
    send_all,
    until_idle,
)
from danube_pkg.core.egress.ledger import Way
from danube_pkg.core.egress.policy import (
    HTTP_PORT,
    Decision,
    EgressReason,
    EgressTarget,
    Verdict,
    parse_target,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import Mutable, replace
from danube_pkg.kit.tasks import end_all

READ_BYTES = 256 * 1024
RESPONSE_HEAD_BYTES = 256 * 1024
"""Of what a server answers: many cookies and policies."""

_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"upgrade",
}  # fmt: skip
"""RFC 9110, section 7.6.1. Transfer-Encoding stays: h11 frames by it."""

_UPGRADED = 101
_ABSOLUTE = re.compile(rb"(?i:http)://([^/?#@]+)([^#]*)")
Headers = list[tuple[bytes, bytes]]


class _Upstream(Mutable):
    target: EgressTarget
    passage: Passage
    protocol: h11.Connection
    used: bool = False


class Forwarding:
    """All requests of one client connection; `protocol` is its h11 side, past the first request's head or before it."""

    def __init__(self, gate: Gate, client: socket.socket, step: int | None, protocol: h11.Connection) -> None:
        self._gate = gate
        self._client = client
        self._step = step
        self._protocol = protocol
        self._upstream: _Upstream | None = None

    async def serve(self, request: h11.Request) -> None:
        """Requests in the proxy's form, each for any host. Raises Stopped for one that must not go out."""
        try:
            next_request: h11.Request | None = request
            while next_request is not None:
                target, path = self._absolute(next_request)
                next_request = await self._exchange(target, path, next_request)
        except h11.RemoteProtocolError:
            raise self._refused(NO_TARGET, EgressReason.BAD_REQUEST) from None
        finally:
            self._drop_upstream()

    async def serve_tunnel(self, target: EgressTarget, passage: Passage) -> None:
        """Requests in a tunnel, each for its host."""
        self._upstream = _Upstream(target, passage, _client_side())
        try:
            request = await self._next_request()
            while request is not None:
                self._check_host(target, request)
                request = await self._exchange(target, request.target, request)
        except h11.RemoteProtocolError:
            raise self._refused(target, EgressReason.BAD_REQUEST) from None
        finally:
            self._drop_upstream()

    def _absolute(self, request: h11.Request) -> tuple[EgressTarget, bytes]:
        found = _ABSOLUTE.fullmatch(request.target)
        if found is None:
            raise self._refused(NO_TARGET, EgressReason.BAD_REQUEST)
        try:
            target = parse_target(found[1].decode("ascii"), HTTP_PORT)
        except (Invalid, UnicodeDecodeError):
            raise self._refused(NO_TARGET, EgressReason.BAD_REQUEST) from None
        return target, found[2] if found[2].startswith(b"/") else b"/" + found[2]

    def _refused(self, target: EgressTarget, reason: EgressReason, server_name: str = "") -> Stopped:
        contact = self._gate.contact(Way.HTTP, self._step, target, Decision(Verdict.REFUSED, reason))
        return self._gate.stopped(replace(contact, server_name=server_name))

    def _check_host(self, target: EgressTarget, request: h11.Request) -> None:
        named = b"".join(value for name, value in request.headers if name == b"host")
        try:
            asked = parse_target(named.decode("ascii"), HTTP_PORT)
        except (Invalid, UnicodeDecodeError):
            raise self._refused(target, EgressReason.BAD_REQUEST) from None
        if not request.target.startswith((b"/", b"*")):
            raise self._refused(target, EgressReason.BAD_REQUEST)
        if asked.host != target.host:
            raise self._refused(target, EgressReason.HOST_DIFFERS, asked.host)

    # --- one request and its answer

    async def _exchange(self, target: EgressTarget, path: bytes, request: h11.Request) -> h11.Request | None:
        """Pass one on and its answer back; the next request, None when there is none."""
        upstream = await self._reach(target)
        head = h11.Request(method=request.method, target=path, headers=_outgoing(target, request))
        await self._to_upstream(upstream, head)
        if not await self._both_ways(upstream):
            return None
        if self._protocol.our_state is h11.SWITCHED_PROTOCOL:
            await self._relay_upgraded(upstream)
            return None
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return None
        self._release(upstream)
        self._protocol.start_next_cycle()
        return await self._next_request()

    async def _both_ways(self, upstream: _Upstream) -> bool:
        """The request's body out and the answer in, at once; True when the answer came whole. Raises OSError, Stopped."""
        loop = asyncio.get_running_loop()
        body = loop.create_task(self._pass_body(upstream), name="egress request body")
        answer = loop.create_task(self._pass_answer(upstream), name="egress answer")
        idle = loop.create_task(until_idle(upstream.passage.traffic), name="egress idle")
        try:
            pending = {body, answer, idle}
            while not answer.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if idle in done:
                    return False
                if body in done:
                    body.result()
            answer.result()
            return True
        except (OSError, h11.RemoteProtocolError) as error:
            if self._protocol.our_state is not h11.SEND_RESPONSE or isinstance(error, h11.RemoteProtocolError):
                raise
            failed = Decision(Verdict.FAILED, EgressReason.UNREACHABLE)
            contact = upstream.passage.contact
            raise self._gate.stopped(
                replace(contact, verdict=failed.verdict, reason=failed.reason, allow=())
            ) from error
        finally:
            await end_all(*(task for task in (body, answer, idle) if not task.done()))

    async def _next_request(self) -> h11.Request | None:
        async with asyncio.timeout(IDLE_SECONDS):
            event = await self._client_event()
        return event if isinstance(event, h11.Request) else None

    async def _reach(self, target: EgressTarget) -> _Upstream:
        """The connection of the last request where it leads to the same place and lives, else a new one."""
        kept = self._upstream
        if kept is not None:
            if kept.target == target and not (kept.used and _has_ended(kept.passage.connection)):
                kept.used = True
                return kept
            self._drop_upstream()
        passage = await self._gate.pass_out(Way.HTTP, self._step, target)
        self._upstream = _Upstream(target, passage, _client_side(), used=True)
        return self._upstream

    def _release(self, upstream: _Upstream) -> None:
        """Keep it for the next request if HTTP allows it."""
        if upstream.protocol.our_state is h11.DONE and upstream.protocol.their_state is h11.DONE:
            upstream.protocol.start_next_cycle()
        else:
            self._drop_upstream()

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._gate.close(self._upstream.passage)
            self._upstream = None

    async def _pass_body(self, upstream: _Upstream) -> None:
        """A server that does not want the rest of it says so in its answer, or ends without one: that is waited for."""
        event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED] = h11.PAUSED
        while not isinstance(event, h11.EndOfMessage):
            event = await self._client_event()
            if not isinstance(event, h11.Data | h11.EndOfMessage):
                raise ConnectionAbortedError("the client left in the middle of its request")
            out = event if isinstance(event, h11.Data) else h11.EndOfMessage()  # trailers may end at a proxy
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await self._to_upstream(upstream, out)

    async def _pass_answer(self, upstream: _Upstream) -> None:
        while True:
            event = await self._upstream_event(upstream)
            if isinstance(event, h11.InformationalResponse):
                switching = event.status_code == _UPGRADED
                headers = event.headers if switching else _without_hops(event.headers)
                await self._to_client(
                    h11.InformationalResponse(status_code=event.status_code, headers=headers, reason=event.reason)
                )
                if switching:
                    return
            elif isinstance(event, h11.Response):
                await self._to_client(
                    h11.Response(
                        status_code=event.status_code, headers=_without_hops(event.headers), reason=event.reason
                    )
                )
            elif isinstance(event, h11.Data):
                await self._to_client(event)
            elif isinstance(event, h11.EndOfMessage):
                await self._to_client(h11.EndOfMessage())
                return
            else:
                raise ConnectionAbortedError("the server ended without an answer")

    async def _relay_upgraded(self, upstream: _Upstream) -> None:
        """A web socket: HTTP is over, and what both sides have sent too early goes first."""
        passage, loop = upstream.passage, asyncio.get_running_loop()
        inside, outside = self._protocol.trailing_data[0], upstream.protocol.trailing_data[0]
        await send_all(passage.connection, inside)
        await send_all(self._client, outside)
        passage.traffic.sent(len(inside))
        outwards = relay_one_way(self._client, passage.connection, passage.traffic.sent)
        inwards = relay_one_way(passage.connection, self._client, passage.traffic.received)
        await both_until_idle(
            loop.create_task(outwards, name="egress outwards"),
            loop.create_task(inwards, name="egress inwards"),
            passage.traffic,
        )

    # --- bytes and events

    async def _client_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await asyncio.get_running_loop().sock_recv(self._client, READ_BYTES))
        return event

    async def _upstream_event(self, upstream: _Upstream) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := upstream.protocol.next_event()) is h11.NEED_DATA:
                data = await asyncio.get_running_loop().sock_recv(upstream.passage.connection, READ_BYTES)
                upstream.passage.traffic.received(len(data))
                upstream.protocol.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise ConnectionAbortedError(f"the server's answer is not HTTP: {error}") from error
        return event

    async def _to_upstream(self, upstream: _Upstream, event: h11.Event) -> None:
        await _send(upstream.protocol, upstream.passage.connection, event, upstream.passage.traffic)

    async def _to_client(self, event: h11.Event) -> None:
        await _send(self._protocol, self._client, event, None)


async def _send(protocol: h11.Connection, sink: socket.socket, event: h11.Event, traffic: Traffic | None) -> None:
    data = protocol.send(event)
    if data:
        await send_all(sink, data)
        if traffic is not None:
            traffic.sent(len(data))


def _client_side() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=RESPONSE_HEAD_BYTES)


def _outgoing(target: EgressTarget, request: h11.Request) -> Headers:
    """The host of the target in the place of any other, and nothing that was meant for the proxy."""
    host = target.host if target.port == HTTP_PORT else str(target)
    headers = [(b"host", host.encode()), *(pair for pair in _without_hops(request.headers) if pair[0] != b"host")]
    upgrade = [value for name, value in request.headers if name == b"upgrade"]
    if upgrade and b"upgrade" in _connection_words(request.headers):
        headers += [(b"connection", b"upgrade"), (b"upgrade", upgrade[0])]
    return headers


def _without_hops(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    pairs = list(headers)
    chunked = any(name == b"transfer-encoding" for name, _ in pairs)
    dropped = _HOP_BY_HOP | _connection_words(pairs) | ({b"content-length"} if chunked else set())
    return [(name, value) for name, value in pairs if name not in dropped]


def _connection_words(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    return {word.strip().lower() for value in values for word in value.split(b",")} - {b"transfer-encoding", b"host"}


def _has_ended(connection: socket.socket) -> bool:
    """Whether the server has closed a connection that was kept, or has said something that nobody asked for."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
