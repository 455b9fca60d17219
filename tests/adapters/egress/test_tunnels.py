"""CONNECT: which requests get a tunnel, what is checked before the first byte leaves, and how tunnels end."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest

from danube_pkg.core.egress.client_hello import ACCESS_DENIED
from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.egress.policy import EgressReason, Verdict
from tests.adapters.egress.certificates import Authority
from tests.adapters.egress.proxies import SECONDS, ProxySetup
from tests.core.egress.test_client_hello import in_records, real_hello
from tests.support.waiting import wait_until_async

GREETING = b"hello from outside"


class Seen:
    """A server that sends a greeting and records its input."""

    def __init__(self, *, greets: bool = True) -> None:
        self.data = bytearray()
        self.connections = 0
        self.ended = 0
        self.broken_off = 0
        self._greets = greets

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self._greets:
                writer.write(GREETING)
            while data := await reader.read(65536):
                self.data += data
        except ConnectionError:
            self.broken_off += 1
        finally:
            self.ended += 1
            writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def only(contacts: list[Contact] | tuple[Contact, ...] | object) -> Contact:
    assert isinstance(contacts, list | tuple)
    (contact,) = contacts
    assert isinstance(contact, Contact)
    return contact


def why(contact: Contact) -> tuple[Verdict, EgressReason]:
    return contact.verdict, contact.reason


async def test_an_allowed_host_is_reached_by_end_to_end_tls(setup: ProxySetup, authority: Authority) -> None:
    port = await setup.server(echo, authority.server_context())
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"], step=7)
    tunnel = await pod.connect(f"files.test:{port}")
    assert tunnel.status == 200
    await tunnel.start_tls(authority.client_context(), "files.test")
    tunnel.writer.write(b"over and back")
    async with asyncio.timeout(SECONDS):
        assert await tunnel.reader.readexactly(13) == b"over and back"
    tunnel.close()
    contact = only(await setup.contacts(pod, ended=True))
    assert why(contact) == (Verdict.ALLOWED, EgressReason.LISTED)
    assert (contact.step, contact.host, contact.port, contact.address) == (7, "files.test", port, "127.0.0.1")
    assert contact.sent_bytes > 300
    assert contact.received_bytes > 300


async def test_a_host_that_is_not_listed_is_refused_with_the_entry_that_would_allow_it(setup: ProxySetup) -> None:
    seen = Seen()
    port = await setup.server(seen)
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    tunnel = await pod.connect(f"evil.test:{port}")
    assert tunnel.status == 403
    assert f"egress_allowlist: [evil.test:{port}]" in tunnel.head.splitlines()[0]
    body = (await tunnel.read()).decode()
    assert f"  egress_allowlist:\n    - evil.test:{port}\n" in body
    contact = only(await setup.contacts(pod))
    assert why(contact) == (Verdict.REFUSED, EgressReason.NOT_LISTED)
    assert (contact.step, contact.address, contact.allow) == (None, "", (f"evil.test:{port}",))
    assert seen.connections == 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("files.test:1", EgressReason.PORT_NOT_LISTED),
        ("127.0.0.1:1", EgressReason.LOOPBACK_ADDRESS),
        ("[::1]:443", EgressReason.LOOPBACK_ADDRESS),
        ("[::ffff:127.0.0.1]:443", EgressReason.LOOPBACK_ADDRESS),
        ("169.254.169.254:80", EgressReason.METADATA_ADDRESS),
        ("10.0.0.1:443", EgressReason.PRIVATE_ADDRESS),
        ("0.0.0.0:443", EgressReason.RESERVED_ADDRESS),
        ("8.8.8.8:53", EgressReason.ADDRESS_NOT_LISTED),
        ("private.test:443", EgressReason.LOOPBACK_ADDRESS),
        ("2130706433:80", EgressReason.BAD_REQUEST),
        ("0x7f000001:80", EgressReason.BAD_REQUEST),
        ("nothing", EgressReason.BAD_REQUEST),
    ],
)
async def test_each_way_around_a_name_is_refused(setup: ProxySetup, target: str, reason: EgressReason) -> None:
    pod = await setup.pod(["files.test", "private.test"])
    tunnel = await pod.connect(target)
    assert tunnel.status in (400, 403)
    tunnel.close()
    assert why(only(await setup.contacts(pod))) == (Verdict.REFUSED, reason)


async def test_a_tls_handshake_for_another_name_is_refused(setup: ProxySetup, authority: Authority) -> None:
    seen = Seen(greets=False)
    port = await setup.server(seen)
    pod = await setup.pod(["files.test", "other.test", f"files.test:{port}", f"127.0.0.1:{port}"])
    for name in ("evil.test", "other.test"):
        tunnel = await pod.connect(f"files.test:{port}")
        with pytest.raises(ssl.SSLError, match=r"ACCESS_DENIED|access denied"):
            await tunnel.start_tls(authority.client_context(), name)
        tunnel.close()
    await wait_until_async(lambda: seen.ended == 2, SECONDS, "both connections to end")
    assert (bytes(seen.data), seen.broken_off) == (b"", 2)
    for contact, name in zip(await setup.contacts(pod, 2, ended=True), ("evil.test", "other.test"), strict=True):
        assert why(contact) == (Verdict.REFUSED, EgressReason.SERVER_NAME_DIFFERS)
        assert (contact.server_name, contact.sent_bytes) == (name, 0)
        assert name in contact.describe()


def cuts(hello: bytes) -> Iterator[list[bytes]]:
    """The same message in many packets, and in many records."""
    yield [hello[at : at + 1] for at in range(len(hello))]
    yield [in_records(hello, 11)]
    yield [in_records(hello, 1)[at : at + 7] for at in range(0, 6 * len(hello), 7)]
    yield [hello[:1], hello[1:5], hello[5:9], hello[9:]]


@pytest.mark.parametrize("name", ["files.test", "evil.test"])
async def test_a_hello_in_pieces_is_read_like_a_whole_one(setup: ProxySetup, name: str) -> None:
    seen = Seen(greets=False)
    port = await setup.server(seen)
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    expected = b""
    for number, parts in enumerate(cuts(real_hello(name)), start=1):
        tunnel = await pod.connect(f"files.test:{port}")
        for part in parts:
            tunnel.writer.write(part)
            await tunnel.writer.drain()
        if name == "evil.test":
            assert await tunnel.read() == ACCESS_DENIED
        else:
            tunnel.writer.write_eof()
            expected += b"".join(parts)
            assert await tunnel.read() == b""
        tunnel.close()
        await setup.contacts(pod, number, ended=True)
    assert seen.data == expected


async def test_only_listed_addresses_accept_a_hello_without_a_name(setup: ProxySetup, authority: Authority) -> None:
    port = await setup.server(echo, authority.server_context())
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    context = authority.client_context()
    context.check_hostname = False
    refused = await pod.connect(f"files.test:{port}")
    with pytest.raises(ssl.SSLError):
        await refused.start_tls(context, None)
    by_address = await pod.connect(f"127.0.0.1:{port}")
    await by_address.start_tls(context, None)
    for tunnel in (refused, by_address):
        tunnel.close()
    first, second = await setup.contacts(pod, 2, ended=True)
    assert (why(first), why(second)) == (
        (Verdict.REFUSED, EgressReason.SERVER_NAME_MISSING), (Verdict.ALLOWED, EgressReason.LISTED),
    )  # fmt: skip


async def test_a_server_may_send_first(setup: ProxySetup) -> None:
    """As SSH and mail servers do: input is relayed at once."""
    seen = Seen()
    port = await setup.server(seen)
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    tunnel = await pod.connect(f"files.test:{port}")
    async with asyncio.timeout(SECONDS):
        assert await tunnel.reader.readexactly(len(GREETING)) == GREETING
    tunnel.writer.write(b"SSH-2.0-client")
    tunnel.writer.write_eof()
    assert await tunnel.read() == b""
    assert seen.data == b"SSH-2.0-client"
    contact = only(await setup.contacts(pod, ended=True))
    assert (contact.sent_bytes, contact.received_bytes) == (14, len(GREETING))


async def test_each_direction_has_its_own_end(setup: ProxySetup) -> None:
    """A client that has closed its direction still gets the whole response."""
    size = 5_000_000

    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        writer.write(question * (size // len(question)))
        writer.write_eof()
        await writer.drain()
        writer.close()

    port = await setup.server(answer_at_the_end)
    pod = await setup.pod([f"127.0.0.1:{port}"])
    tunnel = await pod.connect(f"127.0.0.1:{port}", b"que")
    tunnel.writer.write(b"stion;;")
    tunnel.writer.write_eof()
    assert await tunnel.read() == b"question;;" * (size // 10)
    tunnel.close()
    assert only(await setup.contacts(pod, ended=True)).received_bytes == size


async def test_a_reset_is_passed_on_as_a_reset(setup: ProxySetup) -> None:
    async def reset_on_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half of it")
        await writer.drain()
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    port = await setup.server(reset_on_close)
    pod = await setup.pod([f"127.0.0.1:{port}"])
    tunnel = await pod.connect(f"127.0.0.1:{port}")
    async with asyncio.timeout(SECONDS):
        assert await tunnel.reader.readexactly(10) == b"half of it"
        tunnel.writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await tunnel.reader.read()


async def test_an_unreachable_server_is_not_a_refusal(setup: ProxySetup) -> None:
    port = await setup.server(echo)
    setup.listening.pop().close()
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}", "nowhere.invalid"])
    for target, reason in (
        (f"files.test:{port}", EgressReason.UNREACHABLE),
        ("nowhere.invalid:443", EgressReason.NO_ADDRESS),
    ):
        tunnel = await pod.connect(target)
        assert tunnel.status == 502
        tunnel.close()
        assert why(setup.ledger(pod)[-1]) == (Verdict.FAILED, reason)


async def test_learning_records_the_entries_that_an_allowlist_needs(setup: ProxySetup) -> None:
    seen = Seen()
    port = await setup.server(seen)
    pod = await setup.pod([f"127.0.0.1:{port}"], learn=True)
    tunnel = await pod.connect(f"files.test:{port}")
    assert tunnel.status == 200
    tunnel.close()
    metadata = await pod.connect("169.254.169.254:80")
    assert metadata.status == 403
    learned, refused = await setup.contacts(pod, 2)
    assert why(learned) == (Verdict.ALLOWED, EgressReason.LEARNED)
    assert why(refused) == (Verdict.REFUSED, EgressReason.METADATA_ADDRESS)
