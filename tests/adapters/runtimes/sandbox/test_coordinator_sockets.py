"""Each pod has a socket of its own to the coordinators' server, with a few connections, so that others have theirs."""

import asyncio
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from danube_pkg.adapters.runtimes.sandbox.coordinator_sockets import CONNECTIONS_OF_A_POD, CoordinatorSockets
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.kit import relays
from danube_pkg.kit.named_peers import peer_name
from tests.adapters.runtimes.sandbox.pods import Pods
from tests.support.waiting import wait_until_async, wait_until_true


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name of at most 107 bytes, which is all that a socket's address has room for, wherever the tests are."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


@asynccontextmanager
async def echoing(directory: Path) -> AsyncIterator[None]:
    """A server in that directory which sends back what it receives."""

    async def echo(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.transport.abort()

    directory.mkdir(parents=True, exist_ok=True)
    with short(directory / "coordinator.sock") as name:
        server = await asyncio.start_unix_server(echo, name)
    async with server:
        yield


@pytest_asyncio.fixture
async def sockets(tmp_path: Path) -> AsyncIterator[CoordinatorSockets]:
    made = CoordinatorSockets(tmp_path / "s")
    yield made
    await made.close()


async def new_pod(sockets: CoordinatorSockets, path: Path, name: str) -> Path:
    """A pod's directory; its socket, which listens."""
    pod = PodDirectory(path, name, "id")
    pod.path.mkdir(exist_ok=True)
    await sockets.open(pod, f"job-of-{name}")
    return pod.sockets / "coordinator.sock"


async def answers(path: Path, stack: AsyncExitStack | None = None) -> bool:
    """Whether a new connection is served. stack: closes it, else it is closed at once."""
    with short(path) as name:
        try:
            reader, writer = await asyncio.open_unix_connection(name)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    if stack is not None:
        stack.callback(lambda held: writer.transport.abort(), reader)  # a stream without its reader is closed
    try:
        writer.write(b"x" * 300_000)
        found = await reader.readexactly(300_000)
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        if stack is None:
            writer.transport.abort()
    return found == b"x" * 300_000


async def test_connections_of_a_pod(sockets: CoordinatorSockets, tmp_path: Path) -> None:
    first, second = [await new_pod(sockets, tmp_path, name) for name in ("first", "second")]
    async with echoing(tmp_path / "s"), AsyncExitStack() as held:
        served = [await answers(first, held) for _ in range(CONNECTIONS_OF_A_POD + 5)]
        assert served == [True] * CONNECTIONS_OF_A_POD + [False] * 5
        assert await answers(second)
        await held.aclose()
        await wait_until_true(lambda: answers(first), 20, "a connection in place of one that ended")


async def test_the_server_knows_whose_pod_a_connection_is_from(sockets: CoordinatorSockets, tmp_path: Path) -> None:
    """The name that gRPC has for the peer says it, as the coordinators' server reads it."""
    peers: list[str] = []

    async def call(messages: AsyncIterator[bytes], context: Any) -> bytes:
        peers.append(context.peer())
        return b""

    server = grpc.aio.server()
    handler = grpc.stream_unary_rpc_method_handler(call)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("danube", {"Call": handler}),))
    (tmp_path / "s").mkdir()
    with short(tmp_path / "s" / "coordinator.sock") as name:
        server.add_insecure_port(f"unix:{name}")
        await server.start()
    for pod in ("first", "second"):
        with short(await new_pod(sockets, tmp_path, pod)) as name:
            # Both names may be the same: with connections of its own a channel does not get that of the one before.
            own = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(f"unix:{name}", options=own) as channel:
                await channel.stream_unary("/danube/Call", None, None)(iter([b""]))
    await server.stop(0)
    found = [PodAddresses().job_at(peer_name(peer) or "") for peer in peers]
    assert found == ["job-of-first", "job-of-second"]


async def test_a_server_that_does_not_listen_yet_is_found_later(sockets: CoordinatorSockets, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    path = await new_pod(sockets, tmp_path, "pod")
    assert not await answers(path)
    async with echoing(tmp_path / "s"):
        assert await answers(path)
    await wait_until_true(lambda: refused(path), 20, "connections to end with the server")


async def refused(path: Path) -> bool:
    return not await answers(path)


async def test_a_peer_that_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent to it must not keep a connection that is not counted any more."""
    monkeypatch.setattr(relays, "CLOSE_SECONDS", 0.05)
    ours, silent = socket.socketpair()
    with silent:
        _, writer = await asyncio.open_connection(sock=ours)
        async with relays.closing(writer):
            writer.write(bytes(1 << 20))
        await wait_until_async(lambda: ours.fileno() == -1, 20, "the connection to be closed")


async def test_the_socket_of_a_server_before_is_replaced(sockets: CoordinatorSockets, tmp_path: Path) -> None:
    path = await new_pod(sockets, tmp_path, "pod")
    await sockets.close()
    assert not await answers(path)
    restarted = CoordinatorSockets(tmp_path / "s")
    async with echoing(tmp_path / "s"):
        assert await new_pod(restarted, tmp_path, "pod") == path
        assert await answers(path)
        restarted.close_pod("pod")
        assert not await answers(path)
    await restarted.close()


CONNECT = """
import socket, sys, time
held = []
for _ in range(int(sys.argv[1])):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(20)
    one.connect("/.danube/run/coordinator.sock")
    held.append(one)
served = 0
for one in held:
    try:
        one.sendall(b"hello")
        served += one.recv(5) == b"hello"
    except OSError:
        pass
print(served, flush=True)
sys.stdin.read()
"""


async def test_coordinators_reach_the_server_by_the_socket_of_their_pod(pods: Pods) -> None:
    """Also after a restart of the server, which listens in the same directory again."""
    async with echoing(pods.data / "run" / "grpc"):
        (hostile, worker), (honest, _) = await pods.pod(), await pods.pod()
        greedy = await pods.runtime.exec(hostile, ("/usr/bin/env", "python3", "-c", CONNECT, "100"))
        assert await greedy.read() == f"{CONNECTIONS_OF_A_POD}\n".encode()
        assert await pods.run(honest, "python3", "-c", CONNECT, "1") == (0, b"1\n")
        code, printed = await pods.shell(worker, "ls /.danube")
        assert (code, printed) == (0, b"danube-step\n")
        await greedy.close()
        async with pods.runtime.watch():
            assert await pods.run(honest, "python3", "-c", CONNECT, "1") == (0, b"1\n")
