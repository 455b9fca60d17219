"""Malformed, oversized and slow requests: each is refused with its status, costs no memory and delays no other
client."""

import asyncio
import contextlib
import re
import resource
import time
from pathlib import Path

import pytest

from danube_pkg.edges.http.routes import ROUTES
from danube_pkg.edges.http.server import connection
from tests.edges.http.api import Api, open_api
from tests.edges.http.serve import server_process
from tests.edges.http.wire import (
    read_until_silent,
    request,
    send_raw,
    statuses,
)
from tests.support.waiting import wait_until_async

GROWTH_BYTES = 50 * 1024**2
IDLE_CONNECTION_BYTES = GROWTH_BYTES // 10_000
ALL_CONNECTIONS_BYTES = 4 * 1024**2
"""Buffers and tables that grow with the first connections, however many follow."""
SLOW_CONNECTIONS = 200

SMUGGLING = {
    "both lengths": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two different lengths": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "two equal lengths": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd",
    "a signed length": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
    "a length in hex": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd",
    "a space before the colon": b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n",
    "an obsolete fold": b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "a fold with a tab": b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n",
    "a bare line feed": b"GET /health HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
    "a bare carriage return": b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n",
    "a NUL in a value": b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    "an unknown coding": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an obscured coding": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "the coding twice": b"POST /auth/password HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": b"POST /auth/password HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two authorizations": b"GET /api/v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "a space in the target": b"GET /health x HTTP/1.1\r\nHost: a\r\n\r\n",
    "another version": b"GET /health HTTP/3.0\r\nHost: a\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}

BAD_CHUNKS = {
    "an invalid size": b"zz\r\nabcd\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nabcd\r\n0\r\n\r\n",
    "an enormous size": b"ffffffffffffffffffff\r\nabcd\r\n0\r\n\r\n",
    "a chunk longer than it says": b"2\r\nabcd\r\n0\r\n\r\n",
    "a bare line feed": b"4\nabcd\n0\n\n",
    "an extension with a bare line feed": b"4;a\nb\r\nabcd\r\n0\r\n\r\n",
    "an extension without end": b"4;" + b"a" * 40_000,
}


def split(api: Api) -> tuple[str, int]:
    host, _, port = api.address.removeprefix("http://").rpartition(":")
    return host, int(port)


@pytest.mark.parametrize("name", SMUGGLING)
async def test_a_request_that_two_parsers_could_read_differently_is_refused(api: Api, name: str) -> None:
    found = await send_raw(*split(api), SMUGGLING[name] + request("/metrics"))
    assert len(found) == 1, "what follows a refused request is not read"
    assert found[0] in (400, 501, 505)


@pytest.mark.parametrize("name", BAD_CHUNKS)
async def test_a_bad_chunk_ends_the_connection(api: Api, name: str) -> None:
    head = request("/auth/password", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
    found = await send_raw(*split(api), head + BAD_CHUNKS[name] + request("/metrics"), end=True)
    assert len(found) <= 1
    assert all(400 <= status < 500 for status in found)


async def test_a_chunk_extension_is_ignored(api: Api) -> None:
    head = request("/auth/device/token", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
    body = b'2;name="value"\r\n{}\r\n0\r\nTrailer: x\r\n\r\n'
    assert await send_raw(*split(api), head + body + request("/health")) == [400, 200]


async def test_requests_in_one_packet_are_answered_in_order(api: Api) -> None:
    data = (
        request("/health")
        + request("/nothing")
        + request("/health", method="HEAD")
        + request("/health", "Connection: close")
    )
    assert await send_raw(*split(api), data) == [200, 404, 200, 200]


async def test_a_request_in_single_bytes_is_answered(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*split(api))
    for byte in request("/health", "Connection: close"):
        writer.write(bytes([byte]))
        await writer.drain()
    assert statuses(await reader.read()) == [200]
    writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (request("/health", "X-Large: " + "a" * 40_000), 431),
        (request("/health", *(f"X-{n}: a" for n in range(200))), 431),
        (b"GET /" + b"a" * 40_000, 431),
        (request("/auth/password", "Content-Length: 9999999999", "Content-Type: application/json", method="POST"), 413),
    ],
    ids=["target", "header", "headers", "no end", "body"],
)
async def test_a_head_or_body_that_is_too_large_is_refused(api: Api, head: bytes, status: int) -> None:
    assert await send_raw(*split(api), head) == [status]


async def test_an_upload_over_the_limit_is_cut_off_and_answered(api: Api) -> None:
    await upload_without_end(*split(api))


TRAVERSAL = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc/passwd",
    "..",
    "%2e%2e",
    ".",
    "a%00b",
    "..%5c..",
    "%ff%fe",
)


PARAMETER = re.compile(r"\{(\w+)\*?\}")
PARAMETERS = [(route.method, route.path, match[0]) for route in ROUTES for match in PARAMETER.finditer(route.path)]
"""Every parameter of every route."""


@pytest.mark.parametrize("value", TRAVERSAL)
async def test_a_path_parameter_cannot_reach_other_files(api: Api, value: str) -> None:
    """As the administrator, whom no authorisation stops."""
    api.pipeline("app")
    job = await api.job("app")
    good = {"{job}": job.id, "{pipeline}": "app", "{key}": "KEY", "{artifact}": "notes"}
    before = sorted(api.path.rglob("*"))
    for method, path, parameter in PARAMETERS:
        wanted = path.replace(parameter, value)
        for name, word in good.items():
            wanted = wanted.replace(name, word)
        answer = await administrators_answer(api, method, PARAMETER.sub("a", wanted))
        assert not re.search(rb"root:|danube\.db|PRIVATE KEY", answer), wanted
        (status,) = statuses(answer)
        # All paths of the page's own router are answered with one file.
        assert status in (400, 404) or (status == 200 and path.startswith(("/pipelines/", "/jobs/"))), (wanted, status)
    assert sorted(api.path.rglob("*")) == before


async def administrators_answer(api: Api, method: str, path: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(api.path / "danube.sock"))
    body = b"a secret" if method in ("PUT", "POST") else b""
    writer.write(request(path, f"Content-Length: {len(body)}", "Connection: close", method=method) + body)
    answer = await reader.read()
    writer.close()
    return answer


async def test_malformed_requests_cost_no_memory(tmp_path: Path) -> None:
    """The whole corpus and oversized uploads, repeatedly, while other requests are answered."""
    with server_process(tmp_path) as server:
        host, port = server.host, server.port
        assert await send_raw(host, port, request("/health", "Connection: close")) == [200]
        before = server.resident_bytes()
        for _ in range(5):
            sent = [
                *SMUGGLING.values(),
                *(
                    request("/auth/password", "Transfer-Encoding: chunked", method="POST") + bad
                    for bad in BAD_CHUNKS.values()
                ),
            ]
            answers = await asyncio.gather(*(send_raw(host, port, data, end=True) for data in sent for _ in range(4)))
            assert all(status >= 400 for found in answers for status in found)
            await asyncio.gather(*(upload_without_end(host, port) for _ in range(8)))
            assert await send_raw(host, port, request("/health", "Connection: close")) == [200]
        assert server.resident_bytes() - before < GROWTH_BYTES


async def upload_without_end(host: str, port: int) -> None:
    """Upload until the server answers 413."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        request("/auth/password", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
    )
    answer = asyncio.create_task(read_until_silent(reader, 30), name="answer to an upload")
    with contextlib.suppress(ConnectionError):
        while not answer.done():
            writer.write(b"10000\r\n" + b"a" * 65536 + b"\r\n")
            await writer.drain()
    assert statuses(await answer) == [413]
    writer.close()


async def test_two_hundred_slow_clients_delay_no_other(tmp_path: Path) -> None:
    with server_process(tmp_path) as server:
        before = server.resident_bytes()
        slow = []
        for _ in range(SLOW_CONNECTIONS):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            slow.append((reader, writer))
        for _ in range(20):
            for _, writer in slow:
                writer.write(b"a")
            assert await send_raw(server.host, server.port, request("/health", "Connection: close")) == [200]
        assert server.resident_bytes() - before < GROWTH_BYTES
        for _, writer in slow:
            writer.close()


@pytest.mark.long
async def test_a_slow_client_gets_a_408_and_is_disconnected(tmp_path: Path) -> None:
    with server_process(tmp_path) as server:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        async with asyncio.timeout(connection.HEAD_SECONDS + 10):
            answer = await reader.read()
        assert statuses(answer) == [408]
        assert time.monotonic() - began >= connection.HEAD_SECONDS - 1
        writer.close()


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_idle_connections_cost_little(tmp_path: Path, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard > count + 1000, f"the test needs ulimit -n beyond {count + 1000}"
    with server_process(tmp_path) as server:
        assert await send_raw(server.host, server.port, request("/health", "Connection: close")) == [200]
        before = server.resident_bytes()
        idle = []
        for _ in range(count // 100):
            idle += await asyncio.gather(*(keep_alive(server.host, server.port) for _ in range(100)))
        await wait_until_async(lambda: server.open_files() > count, 10, "all connections to be open")
        grown = server.resident_bytes() - before
        assert await send_raw(server.host, server.port, request("/health", "Connection: close")) == [200]
        for writer in idle:
            writer.transport.abort()
        assert grown < ALL_CONNECTIONS_BYTES + count * IDLE_CONNECTION_BYTES, f"{grown / count:.0f} bytes a connection"


async def keep_alive(host: str, port: int) -> asyncio.StreamWriter:
    """A connection that is idle after one answer."""
    reader, writer = await asyncio.open_connection(host, port, limit=4096)
    writer.write(request("/health"))
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
    return writer


async def test_stopping_closes_idle_connections(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        api.team("core")
        host, port = split(api)
        idle, _ = await asyncio.open_connection(host, port)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request("/health"))
        await reader.readuntil(b"}")
    assert await idle.read() == b""
    assert await reader.read() == b""
    with pytest.raises(OSError):
        await asyncio.open_connection(host, port)


async def test_deadlines_are_still_checked_after_a_bug_in_a_sweep(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sweep, calls = connection.Connection.sweep, list[float]()

    def failing_once(self: connection.Connection, now: float) -> None:
        calls.append(now)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        sweep(self, now)

    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(connection.Connection, "sweep", failing_once)
    reader, writer = await asyncio.open_connection(*split(api))
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    assert [one.message for one in caplog.records if one.name == "danube.http"][:1] == ["http-sweep-failed"]
