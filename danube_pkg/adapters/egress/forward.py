"""Forwards plain HTTP request by request; each is decided by its own host.

h11 parses both sides, so that messages are framed again and a request cannot hide in another one (request smuggling).
An outbound connection is reused for the next request to the same target. No `Via` is added, since servers react to it.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable

import h11

from danube_pkg.adapters.egress.enforcement import NO_TARGET, EgressEnforcer, NotConnected, OutboundConnection
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
"""Limit of a response's head, which may have many cookies and policies."""

_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"upgrade",
}  # fmt: skip
"""RFC 9110, section 7.6.1. Transfer-Encoding is kept, since h11 needs it for framing."""

_UPGRADED = 101
_ABSOLUTE = re.compile(rb"(?i:http)://([^/?#@]+)([/?][^#]*)?")
"""A target with user information is refused, in whose host two readers may differ (RFC 9110, section 4.2.4)."""
Headers = list[tuple[bytes, bytes]]


class _Upstream(Mutable):
    target: EgressTarget
    outbound: OutboundConnection
    protocol: h11.Connection
    used: bool = False


class Forwarding:
    """All requests of one client connection. protocol: its h11 state, before or after the first request's head."""

    def __init__(
        self, enforcer: EgressEnforcer, client: socket.socket, step: int | None, protocol: h11.Connection
    ) -> None:
        self._enforcer = enforcer
        self._client = client
        self._step = step
        self._protocol = protocol
        self._upstream: _Upstream | None = None

    async def serve(self, request: h11.Request) -> None:
        """Serves requests in proxy form, each for any host. Raises NotConnected for one that is refused."""
        try:
            next_request: h11.Request | None = request
            while next_request is not None:
                target, path = self._absolute(next_request)
                next_request = await self._exchange(target, path, next_request)
        except h11.RemoteProtocolError:
            raise self._refused(NO_TARGET, EgressReason.BAD_REQUEST) from None
        finally:
            self._drop_upstream()

    async def serve_tunnel(self, target: EgressTarget, outbound: OutboundConnection) -> None:
        """Serves requests in a tunnel, each for the tunnel's host."""
        self._upstream = _Upstream(target, outbound, _client_side())
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
        path = found[2] or b"/"
        return target, path if path.startswith(b"/") else b"/" + path

    def _refused(self, target: EgressTarget, reason: EgressReason, server_name: str = "") -> NotConnected:
        contact = self._enforcer.contact(Way.HTTP, self._step, target, Decision(Verdict.REFUSED, reason))
        return self._enforcer.record_refusal(replace(contact, server_name=server_name))

    def _check_host(self, target: EgressTarget, request: h11.Request) -> None:
        named = b"".join(value for name, value in request.headers if name == b"host")
        try:
            host = parse_target(named.decode("ascii"), HTTP_PORT)
        except (Invalid, UnicodeDecodeError):
            raise self._refused(target, EgressReason.BAD_REQUEST) from None
        if not request.target.startswith((b"/", b"*")):
            raise self._refused(target, EgressReason.BAD_REQUEST)
        if host.host != target.host:
            raise self._refused(target, EgressReason.HOST_DIFFERS, host.host)

    # --- one request and its response

    async def _exchange(self, target: EgressTarget, path: bytes, request: h11.Request) -> h11.Request | None:
        """Forwards one request and its response. Returns the next request, or None."""
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
        """Relays request body and response simultaneously. Returns True for a complete response.

        Raises OSError, NotConnected.
        """
        loop = asyncio.get_running_loop()
        body = loop.create_task(self._pass_body(upstream), name="egress request body")
        response = loop.create_task(self._pass_response(upstream), name="egress response")
        idle = loop.create_task(until_idle(upstream.outbound.traffic), name="egress idle")
        try:
            pending = {body, response, idle}
            while not response.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if idle in done:
                    return False
                if body in done:
                    body.result()
            response.result()
            return True
        except (OSError, h11.RemoteProtocolError) as error:
            if self._protocol.our_state is not h11.SEND_RESPONSE or isinstance(error, h11.RemoteProtocolError):
                raise
            failed = Decision(Verdict.FAILED, EgressReason.UNREACHABLE)
            contact = upstream.outbound.contact
            raise self._enforcer.record_refusal(
                replace(contact, verdict=failed.verdict, reason=failed.reason, allow=())
            ) from error
        finally:
            await end_all(*(task for task in (body, response, idle) if not task.done()))

    async def _next_request(self) -> h11.Request | None:
        async with asyncio.timeout(IDLE_SECONDS):
            event = await self._client_event()
        return event if isinstance(event, h11.Request) else None

    async def _reach(self, target: EgressTarget) -> _Upstream:
        """The last request's connection if it has the same target and is open, otherwise a new one."""
        kept = self._upstream
        if kept is not None:
            if kept.target == target and not (kept.used and _has_ended(kept.outbound.connection)):
                kept.used = True
                return kept
            self._drop_upstream()
        outbound = await self._enforcer.open_connection(Way.HTTP, self._step, target)
        self._upstream = _Upstream(target, outbound, _client_side(), used=True)
        return self._upstream

    def _release(self, upstream: _Upstream) -> None:
        """Keeps the connection for the next request if HTTP allows it."""
        if upstream.protocol.our_state is h11.DONE and upstream.protocol.their_state is h11.DONE:
            upstream.protocol.start_next_cycle()
        else:
            self._drop_upstream()

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._enforcer.close(self._upstream.outbound)
            self._upstream = None

    async def _pass_body(self, upstream: _Upstream) -> None:
        """Forwards the request body. If the server closes early, its response has the cause and is waited for."""
        event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED] = h11.PAUSED
        while not isinstance(event, h11.EndOfMessage):
            event = await self._client_event()
            if not isinstance(event, h11.Data | h11.EndOfMessage):
                raise ConnectionAbortedError("the client disconnected within its request")
            out = event if isinstance(event, h11.Data) else h11.EndOfMessage()  # a proxy may drop trailers
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await self._to_upstream(upstream, out)

    async def _pass_response(self, upstream: _Upstream) -> None:
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
                raise ConnectionAbortedError("the server closed without a response")

    async def _relay_upgraded(self, upstream: _Upstream) -> None:
        """Relays a connection after an upgrade (web socket); data that was already received is sent first."""
        outbound, loop = upstream.outbound, asyncio.get_running_loop()
        inside, dialer = self._protocol.trailing_data[0], upstream.protocol.trailing_data[0]
        await send_all(outbound.connection, inside)
        await send_all(self._client, dialer)
        outbound.traffic.sent(len(inside))
        outwards = relay_one_way(self._client, outbound.connection, outbound.traffic.sent)
        inwards = relay_one_way(outbound.connection, self._client, outbound.traffic.received)
        await both_until_idle(
            loop.create_task(outwards, name="egress outwards"),
            loop.create_task(inwards, name="egress inwards"),
            outbound.traffic,
        )

    # --- bytes and events

    async def _client_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await asyncio.get_running_loop().sock_recv(self._client, READ_BYTES))
        return event

    async def _upstream_event(self, upstream: _Upstream) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := upstream.protocol.next_event()) is h11.NEED_DATA:
                data = await asyncio.get_running_loop().sock_recv(upstream.outbound.connection, READ_BYTES)
                upstream.outbound.traffic.received(len(data))
                upstream.protocol.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise ConnectionAbortedError(f"the server's response is not HTTP: {error}") from error
        return event

    async def _to_upstream(self, upstream: _Upstream, event: h11.Event) -> None:
        await _send(upstream.protocol, upstream.outbound.connection, event, upstream.outbound.traffic)

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
    """The forwarded headers: Host is the target's, and headers for the proxy are removed."""
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
    """Whether the server has closed an idle connection, or has sent data that was not requested."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
