"""No server, a lost answer and a late answer are three errors; a request is repeated only where that is harmless."""

import argparse
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from danube_pkg.cli import client
from danube_pkg.cli.client import AnswerLate, AnswerLost, ApiClient, NoServer
from danube_pkg.cli.servers import ServerAddress

Serve = Callable[[socket.socket, int], bool]
"""Handles the connection with that number, from 0; False ends the server."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_INTERVAL_SECONDS", 0.01)


@contextmanager
def server(serve: Serve) -> Iterator[tuple[ApiClient, list[str]]]:
    """A client of a server on loopback, and the heads of the requests that it gets."""
    heads: list[str] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listening:
            for number in range(100):
                connection, _ = listening.accept()
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                        head += data
                    heads.append(head.decode())
                    if not serve(connection, number):
                        return

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    address = ServerAddress("test", "start one: danube serve", url=f"http://127.0.0.1:{port}")
    yield ApiClient(argparse.Namespace(), server=address), heads
    thread.join(10)


def answers(connection: socket.socket) -> None:
    body = json.dumps({"id": "01j"})
    connection.sendall(f"HTTP/1.1 201 Created\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def keys(heads: list[str]) -> set[str]:
    return {line for head in heads for line in head.splitlines() if line.startswith("Idempotency-Key")}


def test_a_refused_connection_is_reported_at_once() -> None:
    with server(lambda connection, number: False) as (api, _), pytest.raises(AnswerLost):
        api.get("/api/v1/jobs")
    with pytest.raises(NoServer, match="no server answers at") as refusal:
        api.post("/api/v1/pipelines/app/jobs", {})
    assert refusal.value.hint == "start one: danube serve"


def test_after_a_lost_answer_the_request_is_repeated_with_the_same_key() -> None:
    def serve(connection: socket.socket, number: int) -> bool:
        if number < 2:
            return True  # closed without an answer
        answers(connection)
        return False

    with server(serve) as (api, heads):
        assert api.post("/api/v1/pipelines/app/jobs", {}) == {"id": "01j"}
    assert (len(heads), len(keys(heads))) == (3, 1)


def test_a_body_that_breaks_off_is_a_lost_answer_too() -> None:
    def serve(connection: socket.socket, number: int) -> bool:
        if number:
            answers(connection)
            return False
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")
        return True

    with server(serve) as (api, heads):
        assert api.post("/api/v1/pipelines/app/jobs", {}) == {"id": "01j"}
    assert len(keys(heads)) == 1


def test_a_server_that_does_not_come_back_leaves_the_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RECONNECT_SECONDS", 0.2)
    doubt = "whether the request was carried out is not known"
    with server(lambda connection, number: False) as (api, _), pytest.raises(AnswerLost, match=doubt) as lost:
        api.post("/api/v1/pipelines/app/jobs", {})
    assert "danube jobs" in lost.value.hint


def test_after_a_late_answer_the_request_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.2)
    released = threading.Event()

    def serve(connection: socket.socket, number: int) -> bool:
        released.wait(10)
        return False

    with server(serve) as (api, heads):
        with pytest.raises(AnswerLate, match=r"has not answered within 0\.2 s; whether the request was carried out"):
            api.put("/api/v1/secrets/TOKEN", b"value")
        released.set()
    assert len(heads) == 1
