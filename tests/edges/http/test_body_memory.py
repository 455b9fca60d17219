"""Slow clients keep no webhook waiting: memory is shared by the bytes that arrive, not by those that are announced."""

import asyncio
from urllib.parse import urlsplit

import pytest

from danube_pkg.core.errors import Unavailable
from danube_pkg.edges.http.server import body_memory
from danube_pkg.edges.http.server.body_memory import BodyMemory
from tests.edges.http.api import Api
from tests.edges.http.wire import read_until_silent, request, statuses

ANNOUNCED = 24 * 1024**2


async def test_clients_that_announce_much_and_send_nothing_delay_no_delivery(api: Api) -> None:
    at = urlsplit(api.address)
    slow = [await asyncio.open_connection(at.hostname, at.port) for _ in range(20)]
    try:
        for _, writer in slow:
            head = request("/hooks/github", f"Content-Length: {ANNOUNCED}", "X-GitHub-Event: push", method="POST")
            writer.write(head + b"{")
            await writer.drain()
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        head = request("/hooks/github", "Transfer-Encoding: chunked", "X-GitHub-Event: push", method="POST")
        writer.write(head + b"2\r\n{}\r\n0\r\n\r\n")
        assert statuses(await read_until_silent(reader, 5.0)) == [401]
        writer.close()
    finally:
        for _, writer in slow:
            writer.close()


async def test_only_what_is_over_the_small_size_is_counted() -> None:
    memory = BodyMemory(100, small_bytes=50)
    assert await memory.grow(0, 50) == 0
    first = await memory.grow(0, 130)
    assert first == 80
    order, began = list[str](), asyncio.Event()

    async def read_second() -> int:
        began.set()
        held = await memory.grow(0, 90)
        order.append("second body")
        return held

    second = asyncio.create_task(read_second(), name="the second body")
    await began.wait()
    order.append("released")
    memory.release(first)
    assert await second == 40
    assert order == ["released", "second body"]


async def test_a_body_that_gets_no_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_memory, "WAIT_SECONDS", 0.01)
    memory = BodyMemory(100, small_bytes=0)
    held = await memory.grow(0, 100)
    with pytest.raises(Unavailable, match="too many large requests"):
        await memory.grow(0, 1)
    memory.release(held)
    assert await memory.grow(0, 100) == 100
