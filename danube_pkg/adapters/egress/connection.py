"""One connection of a program in a pod: reads its request, then relays it or answers with the refusal.

`CONNECT host:port` opens a tunnel, `GET http://host/path` is forwarded. Plain HTTP in a tunnel to port 80 is parsed,
since some clients always use tunnels: each request in it must be for the tunnel's host. `REPORT raw-socket` is the
message of a supervisor, which expects no response.
"""

import asyncio
import contextlib
import re
import socket

import h11

from danube_pkg.adapters.egress.enforcement import NO_TARGET, EgressEnforcer, NotConnected, OutboundConnection
from danube_pkg.adapters.egress.forward import Forwarding
from danube_pkg.adapters.egress.relay import IDLE_SECONDS, both_until_idle, relay_one_way, reset_on_close, send_all
from danube_pkg.core.egress.client_hello import (
    ACCESS_DENIED,
    MalformedHello,
    looks_like_tls,
    read_client_hello,
)
from danube_pkg.core.egress.denials import page, reason_phrase, status_of
from danube_pkg.core.egress.ledger import Contact, Way
from danube_pkg.core.egress.policy import (
    HTTP_PORT,
    TLS_PORT,
    Decision,
    EgressReason,
    EgressTarget,
    Verdict,
    parse_target,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import Record, replace

HEAD_BYTES = 64 * 1024
"""Limit of a request's head: some clients send cookies and tokens of many KiB."""

HEAD_SECONDS = 60.0
"""Timeout for a complete request head or ClientHello."""

LINGER_SECONDS = 2.0
"""Time for a refused client to read its response."""

READ_BYTES = 256 * 1024

_COUNT = re.compile(rb"[0-9]{1,15}")
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class PodConnection(Record):
    """The pod's side of a connection."""

    connection: socket.socket
    step: int | None

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.connection, READ_BYTES)

    async def refuse(self, answer: bytes) -> None:
        """Sends the last response, then reads for a moment: closing with unread input would discard the response."""
        await send_all(self.connection, answer)
        with contextlib.suppress(OSError, TimeoutError):  # the client has closed it already
            self.connection.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(LINGER_SECONDS):
                while await self.read():
                    continue


async def serve_client(enforcer: EgressEnforcer, client: PodConnection) -> None:
    """Serves a client until its end. Raises OSError if the client disconnects, TimeoutError if it is too slow."""
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    try:
        request = await read_request(client, protocol)
    except h11.RemoteProtocolError:
        await _refuse_bad_request(enforcer, client)
    else:
        if request is not None:
            await serve_request(enforcer, client, protocol, request)


async def serve_request(
    enforcer: EgressEnforcer, client: PodConnection, protocol: h11.Connection, request: h11.Request
) -> None:
    """Serves a client whose first request was read, until its end. Raises as `serve_client`."""
    try:
        if request.method == b"CONNECT":
            await _tunnel(enforcer, client, request.target, protocol.trailing_data[0])
        elif (request.method, request.target) == (b"REPORT", b"raw-socket"):
            enforcer.record_raw_sockets(reported_attempts(request), client.step)
        else:
            await Forwarding(enforcer, client.connection, client.step, protocol).serve(request)
    except NotConnected as refused:
        await client.refuse(refusal(refused.contact))
    except h11.RemoteProtocolError:
        await _refuse_bad_request(enforcer, client)


async def _refuse_bad_request(enforcer: EgressEnforcer, client: PodConnection) -> None:
    invalid = enforcer.record_refusal(enforcer.contact(Way.CONNECT, client.step, NO_TARGET, bad_request()))
    await client.refuse(refusal(invalid.contact))


async def read_request(client: PodConnection, protocol: h11.Connection) -> h11.Request | None:
    """The request's head; None if the client disconnects first, as clients with spare connections do.

    Raises h11.RemoteProtocolError, OSError, TimeoutError.
    """
    async with asyncio.timeout(HEAD_SECONDS):
        while (event := protocol.next_event()) is h11.NEED_DATA:
            protocol.receive_data(await client.read())
    return event if isinstance(event, h11.Request) else None


def reported_attempts(request: h11.Request) -> int:
    """The refused attempts that a supervisor reports of its step (`supervisor/raw-sockets.c`), without waiting for a
    response.

    A step can forge the report, for itself or another step: that only adds a refusal to its own job's ledger.
    """
    reported = dict(request.headers).get(b"attempts", b"")
    return max(1, int(reported)) if _COUNT.fullmatch(reported) else 1


def bad_request() -> Decision:
    """The decision for a request that cannot be parsed."""
    return Decision(Verdict.REFUSED, EgressReason.BAD_REQUEST)


def refusal(contact: Contact) -> bytes:
    """The whole HTTP response. Its Proxy-Status header is that of RFC 9209."""
    body = page(contact).encode()
    kind = "http_request_denied" if contact.verdict is Verdict.REFUSED else "destination_unavailable"
    head = (
        f"HTTP/1.1 {status_of(contact)} {reason_phrase(contact)}\r\n"
        f'Proxy-Status: danube; error={kind}; details="{contact.reason}"\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii", errors="replace") + body


async def _tunnel(enforcer: EgressEnforcer, client: PodConnection, authority: bytes, early: bytes) -> None:
    try:
        target = parse_target(authority.decode("ascii"))
    except (Invalid, UnicodeDecodeError):
        raise enforcer.record_refusal(enforcer.contact(Way.CONNECT, client.step, NO_TARGET, bad_request())) from None
    outbound = await enforcer.open_connection(Way.CONNECT, client.step, target)
    try:
        await send_all(client.connection, _ESTABLISHED)
        await _Tunnel(enforcer, client, target, outbound, early).run()
    finally:
        enforcer.close(outbound)


class _Tunnel:
    """A tunnel that sends nothing out before its first bytes are checked to be for the tunnel's host.

    Input from the server is relayed at once, for protocols in which the server sends first.
    """

    def __init__(
        self,
        enforcer: EgressEnforcer,
        client: PodConnection,
        target: EgressTarget,
        outbound: OutboundConnection,
        early: bytes,
    ) -> None:
        self._enforcer = enforcer
        self._client = client
        self._target = target
        self._outbound = outbound
        self._held = bytearray(early)

    async def run(self) -> None:
        client_first = self._target.port in (TLS_PORT, HTTP_PORT)
        if client_first:
            async with asyncio.timeout(IDLE_SECONDS):
                passed = await self._check_first_bytes()
            if not passed or not self._held:
                return
            if self._target.port == HTTP_PORT and not looks_like_tls(self._held):
                await self._forward()
                return
        loop, traffic = asyncio.get_running_loop(), self._outbound.traffic
        inwards = loop.create_task(
            relay_one_way(self._outbound.connection, self._client.connection, traffic.received), name="egress inwards"
        )
        outwards = loop.create_task(self._outwards(checked=client_first), name="egress outwards")
        if await both_until_idle(outwards, inwards, traffic) is not None:
            for side in (self._client.connection, self._outbound.connection):
                reset_on_close(side)

    async def _outwards(self, *, checked: bool) -> None:
        if not checked and not await self._check_first_bytes():
            raise ConnectionAbortedError("the tunnel was refused")
        await send_all(self._outbound.connection, self._held)
        self._outbound.traffic.sent(len(self._held))
        await relay_one_way(self._client.connection, self._outbound.connection, self._outbound.traffic.sent)

    async def _check_first_bytes(self) -> bool:
        """Holds the first bytes until they are checked. Returns False if they are refused; an empty stream passes."""
        if not self._held:
            self._held += await self._client.read()
        if not self._held:
            return True
        if looks_like_tls(self._held):
            return await self._check_tls()
        if self._target.port == TLS_PORT:
            await self._refuse(Decision(Verdict.REFUSED, EgressReason.NOT_TLS), "")
            return False
        return True

    async def _check_tls(self) -> bool:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                while (hello := read_client_hello(self._held)) is None:
                    data = await self._client.read()
                    if not data:
                        raise MalformedHello("it ends within the ClientHello")
                    self._held += data
        except (MalformedHello, TimeoutError):
            await self._refuse(Decision(Verdict.REFUSED, EgressReason.SERVER_NAME_MISSING), "")
            return False
        decision = self._enforcer.policy.decide_server_name(self._target, hello.server_name)
        if decision.verdict is Verdict.ALLOWED:
            return True
        await self._refuse(decision, hello.server_name or "")
        return False

    async def _refuse(self, decision: Decision, server_name: str) -> None:
        """Refuses within the tunnel: with a TLS alert if TLS has begun, otherwise with an HTTP response."""
        contact = replace(
            self._outbound.contact,
            verdict=decision.verdict,
            reason=decision.reason,
            allow=decision.allow,
            server_name=server_name,
        )
        contact = self._enforcer.record_late_refusal(contact).contact
        await self._client.refuse(ACCESS_DENIED if looks_like_tls(self._held) else refusal(contact))

    async def _forward(self) -> None:
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        protocol.receive_data(bytes(self._held))
        forwarding = Forwarding(self._enforcer, self._client.connection, self._client.step, protocol)
        await forwarding.serve_tunnel(self._target, self._outbound)
