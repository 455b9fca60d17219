"""Plain HTTP through the proxy: forwarded request by request, framed again, each decided by its own host."""

import asyncio
from dataclasses import dataclass, field

import h11
import pytest

from danube_pkg.core.egress.policy import EgressReason, Verdict
from tests.adapters.egress.proxies import SECONDS, ProxySetup


@dataclass(slots=True)
class Origin:
    """An HTTP server that records requests and answers with the path, or as the path names it."""

    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        protocol = h11.Connection(h11.SERVER)
        try:
            while await self._one(protocol, reader, writer):
                protocol.start_next_cycle()
        finally:
            writer.close()

    async def _one(self, protocol: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request, body = None, b""
        while not isinstance(event := protocol.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                if protocol.they_are_waiting_for_100_continue:
                    writer.write(protocol.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                protocol.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                return False
        assert request is not None
        path = request.target.decode()
        headers = {name.decode(): value.decode() for name, value in request.headers}
        self.asked.append((request.method.decode(), path, headers, body))
        if path == "/cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return False
        if path == "/silent":
            return False
        if path == "/old":
            writer.write(b"HTTP/1.0 200 OK\r\nX-Hop: 1\r\nConnection: x-hop\r\n\r\nto the end")
            return False
        answer = (path + " " + body.decode()).strip().encode()
        writer.write(
            protocol.send(h11.Response(status_code=200, headers=[("content-length", str(len(answer)))])) or b""
        )
        if request.method != b"HEAD":
            writer.write(protocol.send(h11.Data(data=answer)) or b"")
        writer.write(protocol.send(h11.EndOfMessage()) or b"")
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE


async def test_a_request_is_forwarded_without_headers_of_the_proxy(setup: ProxySetup) -> None:
    origin = Origin()
    port = await setup.server(origin)
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"], step=3)
    answer = await pod.send(
        f"GET http://Files.Test:{port}/a/b?c=d HTTP/1.1\r\nHost: evil.test\r\nProxy-Authorization: Basic eA==\r\n"
        "Proxy-Connection: keep-alive\r\nX-Mine: 1\r\nX-Hop: 1\r\nConnection: close, x-hop\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n/a/b?c=d")
    assert origin.asked == [("GET", "/a/b?c=d", {"host": f"files.test:{port}", "x-mine": "1"}, b"")]
    (contact,) = await setup.contacts(pod, ended=True)
    assert (contact.way, contact.step, contact.verdict) == ("http", 3, Verdict.ALLOWED)
    assert contact.sent_bytes > 30
    assert contact.received_bytes > 30


async def test_requests_of_one_connection_each_have_their_own_host(setup: ProxySetup) -> None:
    """Pipelined, as by apt; a target is reached over one connection, and the first refusal ends them."""
    origin = Origin()
    port = await setup.server(origin)
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    answer = await pod.send(
        b"".join(
            f"GET http://{host}:{port}/{number} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            for number, host in enumerate(("files.test", "files.test", "127.0.0.1", "evil.test", "files.test"))
        )
    )
    assert [path for _, path, _, _ in origin.asked] == ["/0", "/1", "/2"]
    assert origin.connections == 2
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.count(b"HTTP/1.1 403 ") == 1
    contacts = await setup.contacts(pod, 3)
    assert [contact.host for contact in contacts] == ["files.test", "127.0.0.1", "evil.test"]


async def test_bodies_are_relayed_with_any_framing(setup: ProxySetup) -> None:
    origin = Origin()
    port = await setup.server(origin)
    pod = await setup.pod([f"127.0.0.1:{port}"])
    head = f"POST http://127.0.0.1:{port}/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunked = await pod.send(
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )
    sized = await pod.send(f"{head}Content-Length: 5\r\n\r\nhello".encode())
    assert chunked.endswith(b"/upload hello world")
    assert sized.endswith(b"/upload hello")
    assert [body for *_, body in origin.asked] == [b"hello world", b"hello"]


async def test_a_client_that_expects_100_continue_gets_it(setup: ProxySetup) -> None:
    port = await setup.server(Origin())
    pod = await setup.pod([f"127.0.0.1:{port}"])
    reader, writer = await pod.open()
    writer.write(
        f"POST http://127.0.0.1:{port}/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        "Connection: close\r\nContent-Length: 5\r\n\r\n".encode()
    )
    async with asyncio.timeout(SECONDS):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"hello")
        assert (await reader.read()).endswith(b"/upload hello")
    writer.close()


async def test_a_body_ended_by_closing_is_complete_and_a_truncated_one_is_not(setup: ProxySetup) -> None:
    port = await setup.server(Origin())
    pod = await setup.pod([f"127.0.0.1:{port}"])
    old = await pod.send(f"GET http://127.0.0.1:{port}/old HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert b"a\r\nto the end\r\n0\r\n\r\n" in old
    assert b"x-hop" not in old.lower()
    for_old_client = await pod.send(f"GET http://127.0.0.1:{port}/old HTTP/1.0\r\n\r\n".encode())
    assert for_old_client.endswith(b"\r\n\r\nto the end")
    head = await pod.send(
        f"HEAD http://127.0.0.1:{port}/12345 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert b"content-length: 6" in head
    assert head.endswith(b"\r\n\r\n")
    reader, writer = await pod.open()
    writer.write(f"GET http://127.0.0.1:{port}/cut HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(SECONDS):
        assert (await reader.readuntil(b"half")).endswith(b"\r\n\r\nhalf")
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()
    silent = await pod.send(f"GET http://127.0.0.1:{port}/silent HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert silent.startswith(b"HTTP/1.1 502 ")
    assert setup.ledger(pod)[-1].reason is EgressReason.UNREACHABLE


@pytest.mark.parametrize(
    "request_line",
    [
        "GET / HTTP/1.1",
        "GET https://files.test/ HTTP/1.1",
        "GET ftp://files.test/ HTTP/1.1",
        "GET http://user:password@files.test/ HTTP/1.1",
        "GET http://files.test@evil.test/ HTTP/1.1",
        "GET http://files.test@/ HTTP/1.1",
        "GET http://[::1/ HTTP/1.1",
        "GET http:///path HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "\x16\x03\x01",
    ],
)
async def test_an_invalid_request_is_refused_and_recorded(setup: ProxySetup, request_line: str) -> None:
    pod = await setup.pod(["*", "files.test"])
    answer = await pod.send(f"{request_line}\r\nHost: files.test\r\n\r\n".encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    (contact,) = await setup.contacts(pod)
    assert (contact.verdict, contact.reason) == (Verdict.REFUSED, EgressReason.BAD_REQUEST)


async def test_an_endless_head_is_refused(setup: ProxySetup) -> None:
    pod = await setup.pod()
    reader, writer = await pod.open()
    writer.write(b"GET http://files.test/ HTTP/1.1\r\nX: ")
    writer.write(b"x" * 200_000)
    async with asyncio.timeout(SECONDS):
        assert (await reader.read(12)) == b"HTTP/1.1 400"
    writer.close()
