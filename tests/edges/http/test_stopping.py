"""Requests that are being served when the server stops."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from danube_pkg.edges.http.server import listener
from danube_pkg.edges.http.server.listener import HttpServer
from danube_pkg.edges.http.server.messages import Request, Response
from tests.edges.http.api import Api, open_api
from tests.edges.http.wire import request
from tests.support.waiting import wait_until_async


class Handlers:
    """Handlers of requests that wait, in the place of the server's. began: the requests that they have.
    clients: the connections."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began: list[str] = []
        self.clients: list[asyncio.StreamWriter] = []
        self.released = asyncio.Event()

        async def handle(_server: HttpServer, request: Request) -> Response:
            self.began.append(request.method)
            await self.released.wait()
            return Response(200, b"done")

        monkeypatch.setattr(HttpServer, "handle", handle)

    async def send(self, api: Api, method: str) -> asyncio.StreamReader:
        """Send a request, and return once it is being served."""
        host, _, port = api.address.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.clients.append(writer)  # one that is collected is closed
        writer.write(request("/slow", method=method))
        await wait_until_async(lambda: method in self.began, 10, "the handler")
        return reader


async def test_a_request_that_only_reads_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path) as api:
        handlers = Handlers(monkeypatch)
        reader = await handlers.send(api, "GET")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["reference"] == "server-stopping"


async def test_a_request_that_changes_something_is_answered_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The handler is released by the line of the log, so that the stop was waiting for it."""
    monkeypatch.setattr(listener, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(listener, "STOP_SECONDS", 60.0)
    caplog.set_level(logging.WARNING, "danube.http")
    async with open_api(tmp_path) as api:
        handlers = Handlers(monkeypatch)
        reader = await handlers.send(api, "POST")
        release = asyncio.create_task(release_when_named(handlers, caplog), name="release")
    await release
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def release_when_named(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    await wait_until_async(lambda: named(caplog, "http-stop-waits"), 30, "the report")
    handlers.released.set()
    assert named(caplog, "http-stop-waits") == ["POST /slow"]


async def test_a_request_that_takes_too_long_is_aborted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(listener, "STOP_SECONDS", 0.02)
    async with open_api(tmp_path) as api:
        handlers = Handlers(monkeypatch)
        reader = await handlers.send(api, "POST")
    assert await reader.read() == b""
    assert named(caplog, "http-requests-aborted") == ["POST /slow"]


def named(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """The requests of the first line with an event."""
    found = [record.__dict__["fields"]["requests"] for record in caplog.records if record.getMessage() == event]
    return list(found[0]) if found else []
