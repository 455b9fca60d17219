"""A proxy process with simulated pods: sockets on this machine's loopback, and a sleeping process as the holder.

Real pods are tested in `tests/adapters/runtimes/sandbox/test_egress.py`.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from build_steps.supervisor import build_supervisor
from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool, EgressSettings, proxy_command
from danube_pkg.core.egress.host_masks import host_forms
from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.egress.policy import address_of_step
from danube_pkg.core.runtimes.pods import PodSockets
from tests.support.waiting import wait_until_async

SECONDS = 30.0
NAMES = ("files.test", "other.test", "a.sub.test", "private.test", "evil.test")
"""Names in the proxy's `hosts`, all on loopback; the allowlists decide which are reachable."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def proxy_settings(directory: Path, *, generation: str = "test", user: int = 0) -> EgressSettings:
    """Settings as a server's, except that names have loopback addresses."""
    hosts = dict.fromkeys(NAMES, "127.0.0.1")
    first, *rest = proxy_command()
    command = (first, "-X", f"danube-test={directory}", *rest)  # so that a test finds the process
    return EgressSettings(
        directory=directory / "run" / "egress",
        launcher=(str(build_supervisor("danube-ns")),),
        generation=generation,
        command=command,
        user=user,
        hosts=hosts,
    )


@dataclass(slots=True)
class Pod:
    """A simulated pod. host, port: the proxy's address for its clients. names_port: for DNS queries."""

    job_id: str
    host: str
    port: int
    names_port: int
    holder: asyncio.subprocess.Process

    async def connect(self, target: str, data: bytes = b"") -> "Tunnel":
        """Sends CONNECT, followed by `data` in the same packet."""
        reader, writer = await self.open()
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + data)
        async with asyncio.timeout(SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return Tunnel(int(head.split()[1]), head, reader, writer)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)

    async def send(self, data: bytes) -> bytes:
        """Sends bytes to the proxy; returns everything that it sends."""
        reader, writer = await self.open()
        try:
            writer.write(data)
            async with asyncio.timeout(SECONDS):
                return await reader.read()
        finally:
            writer.close()

    async def end(self) -> None:
        self.holder.kill()
        await self.holder.wait()


@dataclass(slots=True)
class Tunnel:
    """A response to CONNECT and its connection."""

    status: int
    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> bytes:
        """Reads to the end; a reset counts as the end."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(SECONDS):
                return await self.reader.read()
        return b""

    async def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> None:
        async with asyncio.timeout(SECONDS):
            await self.writer.start_tls(context, server_hostname=server_name)

    def close(self) -> None:
        self.writer.close()


@dataclass(slots=True)
class ProxySetup:
    """The server's side of the proxies in one directory, and their pods. secrets: values to mask."""

    directory: Path
    proxies: EgressProxyPool
    ledgers: FileLedgers
    secrets: list[bytes]
    pods: list[Pod] = field(default_factory=list)
    listening: list[asyncio.Server] = field(default_factory=list)

    async def pod(self, allowlist: Sequence[str] = (), *, learn: bool = False, step: int | None = None) -> Pod:
        return await hand_over(self.proxies, self.pods, allowlist, learn=learn, step=step)

    async def server(self, serve: Serve, context: ssl.SSLContext | None = None) -> int:
        """Starts a server on loopback; returns its port."""
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        self.listening.append(server)
        port = server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    def ledger(self, pod: Pod) -> Sequence[Contact]:
        return self.ledgers.read(pod.job_id)

    async def contacts(self, pod: Pod, count: int = 1, *, ended: bool = False) -> Sequence[Contact]:
        """Waits until the ledger has `count` contacts (ended: all of them closed) and returns them."""

        def has_contacts() -> bool:
            found = self.ledger(pod)
            return len(found) >= count and not (ended and any(one.ended_at is None for one in found))

        await wait_until_async(has_contacts, SECONDS, f"{count} contacts in the ledger")
        found = self.ledger(pod)
        assert len(found) == count, found
        return found

    def processes(self) -> list[int]:
        """The proxies of this directory."""
        found, mark = [], f"\0danube-test={self.directory}\0"
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # the process has ended
                if mark in (directory / "cmdline").read_text():
                    found.append(int(directory.name))
        return sorted(found)

    async def wait_no_process(self) -> None:
        await wait_until_async(lambda: not self.processes(), SECONDS, "the proxy's end")

    def logged(self) -> str:
        """The proxies' log, which has only warnings and errors."""
        log = self.directory / "run" / "egress" / "proxy.log"
        return log.read_text() if log.exists() else ""


async def hand_over(
    proxies: EgressProxyPool, pods: list[Pod], allowlist: Sequence[str], *, learn: bool = False, step: int | None = None
) -> Pod:
    """Hands over a simulated pod with sockets on loopback, at the address of a step."""
    holder = await asyncio.create_subprocess_exec("sleep", "1000", stdout=asyncio.subprocess.DEVNULL)
    host, job_id = address_of_step(step), f"test-{secrets.token_hex(6)}"
    with (
        socket.create_server((host, 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names,
        open(os.devnull, "rb") as counters,
    ):
        names.bind(("127.0.0.1", 0))
        pidfd = os.pidfd_open(holder.pid)
        sockets = PodSockets(listener.fileno(), names.fileno(), pidfd, (counters.fileno(),))
        try:
            await proxies.serve(job_id, allowlist, sockets, learn=learn)
        finally:
            os.close(pidfd)
        pod = Pod(job_id, host, listener.getsockname()[1], names.getsockname()[1], holder)
    pods.append(pod)
    return pod


@asynccontextmanager
async def open_proxies(directory: Path, settings: EgressSettings | None = None) -> AsyncIterator[ProxySetup]:
    ledgers, secrets = FileLedgers(directory / "logs"), list[bytes]()

    async def forms_of(job_id: str) -> Collection[str]:
        return host_forms(secrets)

    setup = ProxySetup(
        directory, EgressProxyPool(settings or proxy_settings(directory), ledgers, forms_of), ledgers, secrets
    )
    try:
        yield setup
    finally:
        for pod in setup.pods:
            if pod.holder.returncode is None:
                await pod.end()
        for server in setup.listening:
            server.close()
        await setup.proxies.close()
        await setup.wait_no_process()


def status_of_process(process: int) -> Mapping[str, str]:
    """`/proc/PID/status` as a mapping."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
