"""One connection of a program in a pod: what it asks for, and then either an answer that helps or a way out.

`CONNECT host:port` gives a tunnel, `GET http://host/path` is passed on. A tunnel to port 80 that turns out to be plain HTTP
is read as such, since some clients ask for a tunnel always: every request in it must be for the tunnel's host. A supervisor
says `REPORT raw-socket`, and wants nothing.
"""

import asyncio
import contextlib
import re
import socket

import h11

from danube_pkg.adapters.egress.forward import Forwarding
from danube_pkg.adapters.egress.gate import NO_TARGET, Gate, Passage, Stopped
from danube_pkg.adapters.egress.relay import IDLE_SECONDS, both_until_idle, break_off, relay_one_way, send_all
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
"""Of a request's head: some clients send cookies and tokens of many KiB."""

HEAD_SECONDS = 60.0
"""For a head, or a ClientHello, to come whole once it has begun."""

FAREWELL_SECONDS = 2.0
"""For a refused client to read its answer."""

READ_BYTES = 256 * 1024

_COUNT = re.compile(rb"[0-9]{1,15}")
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class PodConnection(Record):
    """The pod's side of a connection."""

    connection: socket.socket
    step: int | None

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.connection, READ_BYTES)

    async def say_no(self, answer: bytes) -> None:
        """The last that is said. What the client still sends is read for a moment: closing over it would take the answer away."""
        await send_all(self.connection, answer)
        with contextlib.suppress(OSError, TimeoutError):  # gone already
            self.connection.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(FAREWELL_SECONDS):
                while await self.read():
                    continue


async def serve_client(gate: Gate, client: PodConnection) -> None:
    """From the first byte to the last. Raises OSError when the client is gone, TimeoutError when it is too slow."""
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    try:
        request = await _read_request(client, protocol)
        if request is None:
            return
        if request.method == b"CONNECT":
            await _tunnel(gate, client, request.target, protocol.trailing_data[0])
        elif (request.method, request.target) == (b"REPORT", b"raw-socket"):
            gate.asked_for_raw_sockets(reported_attempts(request), client.step)
        else:
            await Forwarding(gate, client.connection, client.step, protocol).serve(request)
    except Stopped as stopped:
        await client.say_no(refusal(stopped.contact))
    except h11.RemoteProtocolError:
        bad = gate.stopped(gate.contact(Way.CONNECT, client.step, NO_TARGET, bad_request()))
        await client.say_no(refusal(bad.contact))


async def _read_request(client: PodConnection, protocol: h11.Connection) -> h11.Request | None:
    """None when the client leaves without asking for anything, as clients that keep connections ready do."""
    async with asyncio.timeout(HEAD_SECONDS):
        while (event := protocol.next_event()) is h11.NEED_DATA:
            protocol.receive_data(await client.read())
    return event if isinstance(event, h11.Request) else None


def reported_attempts(request: h11.Request) -> int:
    """What a supervisor says of its step (`supervisor/raw-sockets.c`), which does not wait for an answer. A step can say it as
    well, of itself or of another one: all it gets is a refusal more in the ledger of its own job."""
    told = dict(request.headers).get(b"attempts", b"")
    return max(1, int(told)) if _COUNT.fullmatch(told) else 1


def bad_request() -> Decision:
    """What cannot be understood is let out in no case."""
    return Decision(Verdict.REFUSED, EgressReason.BAD_REQUEST)


def refusal(contact: Contact) -> bytes:
    """The whole answer; the error's words for machines are those of RFC 9209."""
    body = page(contact).encode()
    kind = "http_request_denied" if contact.verdict is Verdict.REFUSED else "destination_unavailable"
    head = (
        f"HTTP/1.1 {status_of(contact)} {reason_phrase(contact)}\r\n"
        f'Proxy-Status: danube; error={kind}; details="{contact.reason}"\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii", errors="replace") + body


async def _tunnel(gate: Gate, client: PodConnection, authority: bytes, early: bytes) -> None:
    try:
        target = parse_target(authority.decode("ascii"))
    except (Invalid, UnicodeDecodeError):
        raise gate.stopped(gate.contact(Way.CONNECT, client.step, NO_TARGET, bad_request())) from None
    passage = await gate.pass_out(Way.CONNECT, client.step, target)
    try:
        await send_all(client.connection, _ESTABLISHED)
        await _Tunnel(gate, client, target, passage, early).run()
    finally:
        gate.close(passage)


class _Tunnel:
    """Nothing goes out before its first bytes are known to be for the tunnel's host; what comes in comes in at once, for
    protocols in which the server speaks first."""

    def __init__(self, gate: Gate, client: PodConnection, target: EgressTarget, passage: Passage, early: bytes) -> None:
        self._gate = gate
        self._client = client
        self._target = target
        self._passage = passage
        self._held = bytearray(early)

    async def run(self) -> None:
        client_first = self._target.port in (TLS_PORT, HTTP_PORT)
        if client_first:
            async with asyncio.timeout(IDLE_SECONDS):
                known = await self._let_pass()
            if not known or not self._held:
                return
            if self._target.port == HTTP_PORT and not looks_like_tls(self._held):
                await self._forward()
                return
        loop, traffic = asyncio.get_running_loop(), self._passage.traffic
        inwards = loop.create_task(
            relay_one_way(self._passage.connection, self._client.connection, traffic.received), name="egress inwards"
        )
        outwards = loop.create_task(self._outwards(known=client_first), name="egress outwards")
        if await both_until_idle(outwards, inwards, traffic) is not None:
            for side in (self._client.connection, self._passage.connection):
                break_off(side)

    async def _outwards(self, *, known: bool) -> None:
        if not known and not await self._let_pass():
            raise ConnectionAbortedError("the tunnel was refused")
        await send_all(self._passage.connection, self._held)
        self._passage.traffic.sent(len(self._held))
        await relay_one_way(self._client.connection, self._passage.connection, self._passage.traffic.sent)

    async def _let_pass(self) -> bool:
        """Hold the first bytes until they are known; False when they were refused. The end of the stream decides nothing."""
        if not self._held:
            self._held += await self._client.read()
        if not self._held:
            return True
        if looks_like_tls(self._held):
            return await self._let_tls_pass()
        if self._target.port == TLS_PORT:
            await self._refuse(Decision(Verdict.REFUSED, EgressReason.NOT_TLS), "")
            return False
        return True

    async def _let_tls_pass(self) -> bool:
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
        decision = self._gate.policy.decide_server_name(self._target, hello.server_name)
        if decision.verdict is Verdict.ALLOWED:
            return True
        await self._refuse(decision, hello.server_name or "")
        return False

    async def _refuse(self, decision: Decision, server_name: str) -> None:
        """Too late for HTTP: an alert where TLS has begun, an HTTP answer where something else has."""
        contact = replace(
            self._passage.contact,
            verdict=decision.verdict,
            reason=decision.reason,
            allow=decision.allow,
            server_name=server_name,
        )
        contact = self._gate.stopped_late(contact).contact
        await self._client.say_no(ACCESS_DENIED if looks_like_tls(self._held) else refusal(contact))

    async def _forward(self) -> None:
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        protocol.receive_data(bytes(self._held))
        forwarding = Forwarding(self._gate, self._client.connection, self._client.step, protocol)
        await forwarding.serve_tunnel(self._target, self._passage)
