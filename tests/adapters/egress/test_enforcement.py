"""One pod's enforcer with simulated connections: each port leads to one server, and names have any addresses.

This tests the rules for ports 443 and 80, on which only root could listen, and name servers whose answers change.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.egress.connection import PodConnection, serve_client
from danube_pkg.adapters.egress.dialer import Dialer
from danube_pkg.adapters.egress.enforcement import EgressEnforcer
from danube_pkg.adapters.egress.ledgers import FileLedgers, LedgerWriter
from danube_pkg.core.egress.addresses import Address, parse_address
from danube_pkg.core.egress.client_hello import ACCESS_DENIED
from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.egress.policy import (
    EgressReason,
    EgressTarget,
    Policy,
    Verdict,
)
from danube_pkg.kit.addresses import is_own
from tests.adapters.egress.proxies import SECONDS
from tests.core.egress.test_client_hello import real_hello

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class SimulatedDialer(Dialer):
    """Names have the given addresses, in turn; each connection leads to one server of the test."""

    port: int
    answers: list[Sequence[str]]
    looked_up: list[str] = field(default_factory=list)
    connected: list[tuple[Sequence[str], int]] = field(default_factory=list)

    async def resolve(self, target: EgressTarget, hosts: Mapping[str, str]) -> Sequence[Address]:
        self.looked_up.append(target.host)
        parsed = [parse_address(text) for text in self.answers.pop(0)]
        return [address for address in parsed if address is not None]

    async def connect(self, addresses: Sequence[Address], port: int) -> tuple[socket.socket, Address]:
        self.connected.append((tuple(map(str, addresses)), port))
        connection = socket.socket()
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        return connection, addresses[0]


@dataclass(slots=True)
class EnforcerSetup:
    dialer: SimulatedDialer
    ledgers: FileLedgers
    received: bytearray
    answer: bytearray

    async def talk(self, policy: Policy, *packets: bytes, ended: bool = True) -> bytes:
        """A client that sends packets, waits for a response after the first, and reads to the end."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        enforcer = EgressEnforcer("p", "job", policy, {}, LedgerWriter("job", self.ledgers.open("job")), self.dialer)
        served = asyncio.get_running_loop().create_task(self._serve(enforcer, theirs), name="client")
        reader, writer = await asyncio.open_connection(sock=ours)
        answer = b""
        async with asyncio.timeout(SECONDS):
            for number, packet in enumerate(packets):
                writer.write(packet)
                if number == 0 and len(packets) > 1:
                    answer += await reader.readuntil(b"\r\n\r\n")
            if ended and not reader.at_eof():
                writer.write_eof()
            answer += await reader.read()
            writer.close()
            await served
        enforcer.release()
        return answer

    async def _serve(self, enforcer: EgressEnforcer, connection: socket.socket) -> None:
        with connection:
            await serve_client(enforcer, PodConnection(connection, 1))

    def only(self) -> Contact:
        (contact,) = self.ledgers.read("job")
        return contact


@pytest_asyncio.fixture
async def setup(tmp_path: Path) -> AsyncIterator[EnforcerSetup]:
    received, answer = bytearray(), bytearray()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            received.extend(data)
            writer.write(bytes(answer))
        writer.close()

    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield EnforcerSetup(SimulatedDialer(port, [["8.8.8.8"]] * 9), FileLedgers(tmp_path), received, answer)


def connect(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


async def test_the_connection_goes_to_the_address_that_was_checked(setup: EnforcerSetup) -> None:
    """DNS rebinding: the second answer, which is never requested, would be private."""
    setup.dialer.answers[:] = [["8.8.8.8"], ["10.0.0.1"]]
    hello = real_hello("files.test")
    assert await setup.talk(Policy(["files.test"]), connect("files.test:443"), hello) == ESTABLISHED
    assert setup.dialer.looked_up == ["files.test"]
    assert setup.dialer.connected == [(("8.8.8.8",), 443)]
    assert (setup.only().address, bytes(setup.received)) == ("8.8.8.8", hello)


async def test_only_the_allowed_addresses_of_a_name_are_tried(setup: EnforcerSetup) -> None:
    setup.dialer.answers[:] = [["10.0.0.1", "8.8.8.8", "127.0.0.1", "2606:4700::1"]]
    await setup.talk(Policy(["files.test"]), connect("files.test:443"), real_hello("files.test"))
    assert setup.dialer.connected == [(("8.8.8.8", "2606:4700::1"), 443)]


async def test_a_listed_name_with_a_private_address_is_refused(setup: EnforcerSetup) -> None:
    setup.dialer.answers[:] = [["10.0.0.1", "169.254.169.254"]]
    answer = await setup.talk(Policy(["files.test"]), connect("files.test:443"))
    assert b" 403 " in answer.splitlines()[0]
    assert b"such an address must be listed itself" in answer
    assert setup.dialer.connected == []
    assert (setup.only().reason, setup.only().allow) == (EgressReason.PRIVATE_ADDRESS, ("10.0.0.1",))


async def test_a_name_that_is_not_listed_is_not_resolved(setup: EnforcerSetup) -> None:
    await setup.talk(Policy(["files.test"]), connect("what-was-stolen.evil.test:443"))
    assert setup.dialer.looked_up == []
    assert setup.only().reason is EgressReason.NOT_LISTED


async def test_a_connection_that_cannot_be_recorded_is_refused(
    setup: EnforcerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("danube_pkg.adapters.egress.ledgers.MAX_DECISIONS", 0)
    answer = await setup.talk(Policy(["files.test"]), connect("files.test:443") + real_hello("files.test"))
    assert answer.startswith(b"HTTP/1.1 503 Danube refuses egress to files.test:443 (ledger-full)")
    assert setup.received == b""


async def test_port_443_is_for_tls(setup: EnforcerSetup) -> None:
    for data in (b"GET / HTTP/1.1\r\nHost: files.test\r\n\r\n", b"SSH-2.0-client\r\n", b"\x80\x2e\x01\x03\x01"):
        answer = await setup.talk(Policy(["files.test"]), connect("files.test:443"), data)
        assert b"HTTP/1.1 403 " in answer
        assert setup.ledgers.read("job")[-1].reason is EgressReason.NOT_TLS
    assert setup.received == b""


async def test_an_incomplete_hello_is_refused(setup: EnforcerSetup) -> None:
    hello = real_hello("files.test")
    assert (await setup.talk(Policy(["files.test"]), connect("files.test:443"), hello[:-1])).endswith(ACCESS_DENIED)
    assert setup.received == b""


async def test_a_hello_in_the_same_packet_as_the_request_is_checked(setup: EnforcerSetup) -> None:
    answer = await setup.talk(Policy(["files.test"]), connect("files.test:443") + real_hello("evil.test"))
    assert answer == ESTABLISHED + ACCESS_DENIED
    assert (bytes(setup.received), setup.only().reason) == (b"", EgressReason.SERVER_NAME_DIFFERS)


async def test_plain_http_in_a_tunnel_is_for_the_host_of_the_tunnel(setup: EnforcerSetup) -> None:
    """Some clients always use a tunnel; a server of many hosts would use the Host header."""
    setup.answer += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    requests = [b"GET /a HTTP/1.1\r\nHost: files.test\r\n\r\n", b"GET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n"]
    answer = await setup.talk(Policy(["files.test"]), connect("files.test:80"), *requests)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"HTTP/1.1 403 " in answer
    assert setup.received == b"GET /a HTTP/1.1\r\nhost: files.test\r\n\r\n"
    allowed, refused = setup.ledgers.read("job")
    assert (allowed.verdict, allowed.sent_bytes) == (Verdict.ALLOWED, len(setup.received))
    assert (refused.verdict, refused.reason) == (Verdict.REFUSED, EgressReason.HOST_DIFFERS)
    assert (refused.host, refused.server_name) == ("files.test", "evil.test")


@pytest.mark.parametrize(
    "hidden",
    [
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        b"GET http://evil.test/ HTTP/1.1\r\nHost: files.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: files.test\r\nHost: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : evil.test\r\nHost: files.test\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: files.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_another_host_cannot_be_hidden_in_plain_http(setup: EnforcerSetup, hidden: bytes) -> None:
    setup.answer += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    answer = await setup.talk(Policy(["files.test"]), connect("files.test:80"), hidden)
    assert b"HTTP/1.1 40" in answer
    assert setup.received == b""
    assert [contact.verdict for contact in setup.ledgers.read("job")] == [Verdict.ALLOWED, Verdict.REFUSED]


async def test_a_request_cannot_be_smuggled_by_an_ambiguous_length(setup: EnforcerSetup) -> None:
    setup.answer += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    both = (
        b"POST / HTTP/1.1\r\nHost: files.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n"
    )
    await setup.talk(Policy(["files.test"]), connect("files.test:80"), both)
    assert b"content-length" not in setup.received.lower()
    assert b"smuggled" not in setup.received


async def test_a_web_socket_goes_through_once_its_host_is_known(setup: EnforcerSetup) -> None:
    setup.answer += b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
    upgrade = b"GET /chat HTTP/1.1\r\nHost: files.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    answer = await setup.talk(Policy(["files.test"]), connect("files.test:80"), upgrade)
    assert b"HTTP/1.1 101 " in answer
    assert answer.endswith(b"\x81\x02hi")
    assert b"upgrade: websocket" in setup.received


async def test_an_unused_connection_is_not_a_refusal(setup: EnforcerSetup) -> None:
    assert await setup.talk(Policy(["files.test"]), connect("files.test:443")) == ESTABLISHED
    assert (setup.only().verdict, setup.only().sent_bytes) == (Verdict.ALLOWED, 0)
    assert await setup.talk(Policy(["files.test"]), b"") == b""


def test_addresses_of_this_machine_are_recognised() -> None:
    own = parse_address("127.0.0.1")
    foreign = parse_address("192.0.2.1")
    assert own is not None
    assert foreign is not None
    assert is_own(own)
    assert not is_own(foreign)
