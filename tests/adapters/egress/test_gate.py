"""One gate with a world that is made up: every port leads to one server, and names have the addresses that a test wants.

So the rules of ports 443 and 80, which only root could listen on, are tried, and a name server that changes its mind.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.egress import FileLedgers
from danube_pkg.adapters.egress.connection import PodConnection, serve_client
from danube_pkg.adapters.egress.gate import Gate
from danube_pkg.adapters.egress.ledgers import LedgerWriter
from danube_pkg.adapters.egress.outside import Outside, is_own
from danube_pkg.core.egress.addresses import Address, parse_address
from danube_pkg.core.egress.client_hello import ACCESS_DENIED
from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.egress.policy import (
    EgressReason,
    EgressTarget,
    Policy,
    Verdict,
)
from tests.adapters.egress.proxies import SECONDS
from tests.core.egress.test_client_hello import real_hello

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class Elsewhere(Outside):
    """Names have the addresses that are given, in turn; every connection leads to one server of the test's."""

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
class World:
    outside: Elsewhere
    ledgers: FileLedgers
    received: bytearray
    answer: bytearray

    async def talk(self, policy: Policy, *packets: bytes, ended: bool = True) -> bytes:
        """A client that sends these, waits for an answer after the first, and reads to the end."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        gate = Gate("p", "job", policy, {}, LedgerWriter("job", self.ledgers.open("job")), self.outside)
        served = asyncio.get_running_loop().create_task(self._serve(gate, theirs), name="client")
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
        gate.release()
        return answer

    async def _serve(self, gate: Gate, connection: socket.socket) -> None:
        with connection:
            await serve_client(gate, PodConnection(connection, 1))

    def only(self) -> Contact:
        (contact,) = self.ledgers.read("job")
        return contact


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    received, answer = bytearray(), bytearray()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            received.extend(data)
            writer.write(bytes(answer))
        writer.close()

    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield World(Elsewhere(port, [["8.8.8.8"]] * 9), FileLedgers(tmp_path), received, answer)


def connect(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


async def test_the_name_is_resolved_once_and_the_checked_address_is_the_one_that_is_connected_to(world: World) -> None:
    """DNS rebinding: the second answer, which nobody asks for, would be private."""
    world.outside.answers[:] = [["8.8.8.8"], ["10.0.0.1"]]
    hello = real_hello("files.test")
    assert await world.talk(Policy(["files.test"]), connect("files.test:443"), hello) == ESTABLISHED
    assert world.outside.looked_up == ["files.test"]
    assert world.outside.connected == [(("8.8.8.8",), 443)]
    assert (world.only().address, bytes(world.received)) == ("8.8.8.8", hello)


async def test_of_several_addresses_only_the_allowed_ones_are_tried(world: World) -> None:
    world.outside.answers[:] = [["10.0.0.1", "8.8.8.8", "127.0.0.1", "2606:4700::1"]]
    await world.talk(Policy(["files.test"]), connect("files.test:443"), real_hello("files.test"))
    assert world.outside.connected == [(("8.8.8.8", "2606:4700::1"), 443)]


async def test_a_listed_name_that_leads_inwards_is_refused_before_anything_is_sent(world: World) -> None:
    world.outside.answers[:] = [["10.0.0.1", "169.254.169.254"]]
    answer = await world.talk(Policy(["files.test"]), connect("files.test:443"))
    assert b" 403 " in answer.splitlines()[0]
    assert b"such an address must be listed itself" in answer
    assert world.outside.connected == []
    assert (world.only().reason, world.only().allow) == (EgressReason.PRIVATE_ADDRESS, ("10.0.0.1",))


async def test_a_name_that_is_not_listed_is_not_even_looked_up(world: World) -> None:
    await world.talk(Policy(["files.test"]), connect("what-was-stolen.evil.test:443"))
    assert world.outside.looked_up == []
    assert world.only().reason is EgressReason.NOT_LISTED


async def test_what_cannot_be_written_down_is_not_let_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danube_pkg.adapters.egress.ledgers.MAX_DECISIONS", 0)
    answer = await world.talk(Policy(["files.test"]), connect("files.test:443") + real_hello("files.test"))
    assert answer.startswith(b"HTTP/1.1 503 Danube refuses egress to files.test:443 (ledger-full)")
    assert world.received == b""


async def test_port_443_is_for_tls(world: World) -> None:
    for data in (b"GET / HTTP/1.1\r\nHost: files.test\r\n\r\n", b"SSH-2.0-client\r\n", b"\x80\x2e\x01\x03\x01"):
        answer = await world.talk(Policy(["files.test"]), connect("files.test:443"), data)
        assert b"HTTP/1.1 403 " in answer
        assert world.ledgers.read("job")[-1].reason is EgressReason.NOT_TLS
    assert world.received == b""


async def test_half_a_hello_is_nothing(world: World) -> None:
    hello = real_hello("files.test")
    assert (await world.talk(Policy(["files.test"]), connect("files.test:443"), hello[:-1])).endswith(ACCESS_DENIED)
    assert world.received == b""


async def test_a_hello_that_comes_with_the_request_is_checked_as_well(world: World) -> None:
    answer = await world.talk(Policy(["files.test"]), connect("files.test:443") + real_hello("evil.test"))
    assert answer == ESTABLISHED + ACCESS_DENIED
    assert (bytes(world.received), world.only().reason) == (b"", EgressReason.SERVER_NAME_DIFFERS)


async def test_plain_http_in_a_tunnel_is_for_the_host_of_the_tunnel(world: World) -> None:
    """Some clients ask for a tunnel always; a front of many hosts would go by the Host header."""
    world.answer += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    requests = [b"GET /a HTTP/1.1\r\nHost: files.test\r\n\r\n", b"GET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n"]
    answer = await world.talk(Policy(["files.test"]), connect("files.test:80"), *requests)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"HTTP/1.1 403 " in answer
    assert world.received == b"GET /a HTTP/1.1\r\nhost: files.test\r\n\r\n"
    allowed, refused = world.ledgers.read("job")
    assert (allowed.verdict, allowed.sent_bytes) == (Verdict.ALLOWED, len(world.received))
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
async def test_another_host_cannot_be_hidden_in_plain_http(world: World, hidden: bytes) -> None:
    world.answer += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    answer = await world.talk(Policy(["files.test"]), connect("files.test:80"), hidden)
    assert b"HTTP/1.1 40" in answer
    assert world.received == b""
    assert [contact.verdict for contact in world.ledgers.read("job")] == [Verdict.ALLOWED, Verdict.REFUSED]


async def test_a_request_cannot_be_smuggled_behind_a_length_that_two_sides_read_differently(world: World) -> None:
    world.answer += b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    both = (
        b"POST / HTTP/1.1\r\nHost: files.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n"
    )
    await world.talk(Policy(["files.test"]), connect("files.test:80"), both)
    assert b"content-length" not in world.received.lower()
    assert b"smuggled" not in world.received


async def test_a_web_socket_goes_through_once_its_host_is_known(world: World) -> None:
    world.answer += b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
    upgrade = b"GET /chat HTTP/1.1\r\nHost: files.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    answer = await world.talk(Policy(["files.test"]), connect("files.test:80"), upgrade)
    assert b"HTTP/1.1 101 " in answer
    assert answer.endswith(b"\x81\x02hi")
    assert b"upgrade: websocket" in world.received


async def test_a_connection_that_is_kept_ready_and_never_used_is_no_refusal(world: World) -> None:
    assert await world.talk(Policy(["files.test"]), connect("files.test:443")) == ESTABLISHED
    assert (world.only().verdict, world.only().sent_bytes) == (Verdict.ALLOWED, 0)
    assert await world.talk(Policy(["files.test"]), b"") == b""


def test_this_machines_own_addresses_are_known_without_a_packet() -> None:
    own = parse_address("127.0.0.1")
    foreign = parse_address("192.0.2.1")
    assert own is not None
    assert foreign is not None
    assert is_own(own)
    assert not is_own(foreign)
