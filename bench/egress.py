"""What the egress proxy costs: bytes through it beside a direct connection in the same run, connections, and its
memory.

Server, proxy and client share the machine, so on two cores the proxy's third process is already one too many; what
counts is how far it is above any line to the outside.
"""

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.figures import Figure, median_of
from tests.adapters.egress.proxies import (
    Pod,
    ProxySetup,
    open_proxies,
    status_of_process,
)

BYTES = 1_000_000_000
CONNECTIONS = 300
PARALLEL = 8
ROUNDS = 3

SERVER = f"""
import socket, threading

def serve(connection):
    first = connection.recv(1)
    if first == b"D":
        part, left = bytes(1 << 20), {BYTES}
        while left:
            left -= connection.send(part[: min(left, len(part))])
    elif first == b"U":
        room = bytearray(1 << 20)
        while connection.recv_into(room):
            continue
        connection.send(b"!")
    elif first == b"G":
        while not first.endswith(b"\\r\\n\\r\\n"):
            first += connection.recv(4096)
        connection.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: {BYTES}\\r\\nConnection: close\\r\\n\\r\\n")
        part, left = bytes(1 << 20), {BYTES}
        while left:
            left -= connection.send(part[: min(left, len(part))])
    else:
        connection.send(first)
    connection.close()

listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listening.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""
"""D: download; U: upload; G: a request of HTTP; anything else is echoed."""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
                return asyncio.run(_measure(Path(directory), port))
        finally:
            server.kill()


async def _measure(directory: Path, port: int) -> list[Figure]:
    async with open_proxies(directory) as setup:
        pod = await setup.pod([f"127.0.0.1:{port}"])
        await pod.connect(f"127.0.0.1:{port}")
        return await asyncio.to_thread(_figures, setup, pod, port)


def _figures(setup: ProxySetup, pod: Pod, port: int) -> list[Figure]:
    direct_down = median_of(ROUNDS, lambda: _download(_open(None, port)))
    direct_up = median_of(ROUNDS, lambda: _upload(_open(None, port)))
    down = median_of(ROUNDS, lambda: _download(_open(pod, port)))
    up = median_of(ROUNDS, lambda: _upload(_open(pod, port)))
    plain = median_of(ROUNDS, lambda: _get(pod, port))
    many = median_of(ROUNDS, lambda: _many(pod, port))
    memory = int(status_of_process(setup.processes()[0])["VmRSS"].split()[0]) / 1024
    direct_ms, through_ms = _setup(None, port), _setup(pod, port)
    beside = "direct in the same run: {:.0f} MB/s".format
    return [
        Figure("egress, download through a tunnel", down, "MB/s", note=beside(direct_down)),
        Figure("egress, upload through a tunnel", up, "MB/s", note=beside(direct_up)),
        Figure(f"egress, {PARALLEL} downloads at once", many, "MB/s", note="all together"),
        Figure("egress, download by plain HTTP", plain, "MB/s", note=beside(direct_down)),
        Figure(
            "egress, a connection with one byte", through_ms, "ms", note=f"direct in the same run: {direct_ms:.2f} ms"
        ),
        Figure("egress, memory of the proxy", memory, "MB"),
    ]


def _open(pod: Pod | None, port: int) -> socket.socket:
    """A connection to the server, through a tunnel or not."""
    if pod is None:
        return socket.create_connection(("127.0.0.1", port))
    connection = socket.create_connection((pod.host, pod.port))
    connection.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    return connection


def _read(connection: socket.socket, began: float) -> float:
    """Read to the end; returns MB/s."""
    room, count = bytearray(1 << 20), 0
    with connection:
        while size := connection.recv_into(room):
            count += size
    if count < BYTES:
        raise RuntimeError(f"{count} bytes came")
    return count / 1e6 / (time.perf_counter() - began)


def _download(connection: socket.socket) -> float:
    began = time.perf_counter()
    connection.sendall(b"D")
    return _read(connection, began)


def _get(pod: Pod, port: int) -> float:
    connection = socket.create_connection((pod.host, pod.port))
    began = time.perf_counter()
    connection.sendall(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return _read(connection, began)


def _upload(connection: socket.socket) -> float:
    part, began = bytes(1 << 20), time.perf_counter()
    with connection:
        connection.sendall(b"U")
        for _ in range(BYTES >> 20):
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    return (BYTES >> 20 << 20) / 1e6 / (time.perf_counter() - began)


def _many(pod: Pod, port: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(PARALLEL) as threads:
        list(threads.map(lambda _: _download(_open(pod, port)), range(PARALLEL)))
    return PARALLEL * BYTES / 1e6 / (time.perf_counter() - began)


def _setup(pod: Pod | None, port: int) -> float:
    """The median of milliseconds to connect and to get one byte echoed."""
    times = []
    for _ in range(CONNECTIONS):
        began = time.perf_counter()
        with _open(pod, port) as connection:
            connection.sendall(b"x")
            connection.recv(1)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000
