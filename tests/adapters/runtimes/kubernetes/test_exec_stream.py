"""An exec over a WebSocket, whose every message is written here."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from danube_pkg.adapters.runtimes.kubernetes.exec_stream import (
    V4,
    V5,
    HandshakeRefused,
    WebSocketStream,
    exit_code,
    open_exec,
)
from danube_pkg.core.errors import Unavailable
from tests.adapters.runtimes.kubernetes.scripted_server import refused, scripted_server
from tests.support.waiting import let_others_run, wait_until_async

PATH = "/api/v1/namespaces/danube-jobs/pods/p/exec"
SUCCESS = {"status": "Success"}

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
Use = Callable[[WebSocketStream], Awaitable[None]]


def failure(code: int) -> dict[str, object]:
    cause = {"reason": "ExitCode", "message": str(code)}
    return {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}


def end(status: object) -> bytes:
    return b"\x03" + json.dumps(status).encode()


async def with_exec(
    path: Path, talk: Talk, use: Use, *, protocol: str = V5, ended: bool = False, argv: tuple[str, ...] = ("/bin/true",)
) -> web.Request:
    """Run `use` on a stream whose server runs `talk`; the request of the handshake."""

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(protocol,))
        await socket.prepare(request)
        await talk(socket)
        assert request.transport is not None
        request.transport.close()  # as a real server: without a close frame
        return socket

    async def has_ended(seconds: float) -> bool:
        return ended

    async with scripted_server(path) as (server, access):
        server.handlers["GET", PATH] = serve
        stream = await open_exec(access, PATH, "worker-1", argv, has_ended)
        async with asyncio.timeout(20):
            await use(stream)
        await stream.close()
        return server.seen[0]


@pytest.mark.parametrize(("status", "code"), [(SUCCESS, 0), (failure(7), 7), (failure(255), 255)])
async def test_the_output_and_the_exit_code_arrive(tmp_path: Path, status: object, code: int) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        for data in (b"\x01", b"\x02", b"\x01one ", b"\x02two", end(status)):
            await socket.send_bytes(data)

    async def use(stream: WebSocketStream) -> None:
        assert (await stream.read(), await stream.read(), await stream.read()) == (b"one ", b"two", b"")
        assert await stream.wait() == code

    await with_exec(tmp_path, talk, use)


@pytest.mark.parametrize("protocol", [V5, V4])
async def test_input_arrives_in_pieces_and_v5_closes_it(tmp_path: Path, protocol: str) -> None:
    given = bytes(range(256)) * 400
    taken = bytearray()

    async def talk(socket: web.WebSocketResponse) -> None:
        while protocol == V5 or len(taken) < len(given):
            message = await socket.receive()
            assert message.type is WSMsgType.BINARY
            if message.data == b"\xff\x00":
                break
            assert message.data[0] == 0
            taken.extend(message.data[1:])
        await socket.send_bytes(end(SUCCESS))

    async def use(stream: WebSocketStream) -> None:
        await stream.write(given)
        await stream.close_input()
        assert await stream.wait() == 0
        with pytest.raises(Unavailable):
            await stream.write(b"more")

    await with_exec(tmp_path, talk, use, protocol=protocol)
    assert taken == given


async def test_a_connection_that_ends_without_a_status_has_no_exit_code(tmp_path: Path) -> None:
    """The first pain of every CI system on Kubernetes: an idle connection dies, and the job must not be green."""

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01half")

    async def use(stream: WebSocketStream) -> None:
        assert await stream.read() == b"half"
        assert await stream.read() == b""
        with pytest.raises(Unavailable):
            await stream.wait()

    await with_exec(tmp_path, talk, use)


@pytest.mark.parametrize(("ended", "code"), [(True, 137), (True, 1), (False, 137), (False, 1)])
async def test_a_program_that_ended_with_its_container_has_no_exit_code(tmp_path: Path, ended: bool, code: int) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(end(failure(code)))

    async def use(stream: WebSocketStream) -> None:
        if not ended:
            assert await stream.wait() == code
            return
        with pytest.raises(Unavailable):
            await stream.wait()

    await with_exec(tmp_path, talk, use, ended=ended)


async def test_what_is_not_read_stays_in_the_connection(tmp_path: Path) -> None:
    """The program waits: a step that prints faster than its log is written needs no memory of the server."""
    sent = 0

    async def talk(socket: web.WebSocketResponse) -> None:
        nonlocal sent
        piece = b"\x01" + bytes(64 * 1024)
        for _ in range(1024):
            await socket.send_bytes(piece)
            sent += len(piece) - 1
        await socket.send_bytes(end(SUCCESS))

    async def use(stream: WebSocketStream) -> None:
        await stream.read()
        await wait_until_async(lambda: sent > 128 * 1024, 20, "the connection to fill")
        for _ in range(50):
            assert sent < 16 * 1024**2
            await let_others_run()
        total = 64 * 1024
        while data := await stream.read():
            total += len(data)
        assert total == 1024 * 64 * 1024

    await with_exec(tmp_path, talk, use)


async def test_the_supervisor_is_found_by_its_name_and_its_frames_are_not_mixed(tmp_path: Path) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(end(SUCCESS))

    async def use(stream: WebSocketStream) -> None:
        assert await stream.wait() == 0

    request = await with_exec(tmp_path, talk, use, argv=("danube-step", "run"))
    assert request.query.getall("command") == ["/.danube/bin/danube-step", "run"]
    assert "stderr" not in request.query
    assert V5 in request.headers["Sec-WebSocket-Protocol"]


async def test_a_refused_handshake_has_its_status(tmp_path: Path) -> None:
    async def has_ended(seconds: float) -> bool:
        return False

    async with scripted_server(tmp_path) as (server, access):

        async def refuse(request: web.Request) -> web.StreamResponse:
            return refused(400, "container x is not valid for pod p")

        server.handlers["GET", PATH] = refuse
        with pytest.raises(HandshakeRefused) as refusal:
            await open_exec(access, PATH, "x", ("/bin/true",), has_ended)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "/no/such/program": stat /no/such/program: no such file or directory: unknown', 127),
        ('exec: "x": executable file not found in $PATH: unknown', 127),
        ('exec: "/etc/passwd": permission denied: unknown', 126),
        ("the node is gone", None),
    ],
)
def test_a_program_that_did_not_start_exits_as_a_shell_has_it(message: str, code: int | None) -> None:
    assert exit_code({"status": "Failure", "reason": "InternalError", "message": message}) == code
