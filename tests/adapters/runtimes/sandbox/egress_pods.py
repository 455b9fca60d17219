"""Pods with egress through the proxy of `tests/adapters/egress`, and loopback servers for them to reach."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.id_ranges import PROXY_USER, has_ids_for_pods
from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.runtimes.pods import Container, Network
from tests.adapters.egress.certificates import Authority
from tests.adapters.egress.proxies import (
    SECONDS,
    ProxySetup,
    open_proxies,
    proxy_settings,
)
from tests.adapters.runtimes.sandbox.pods import Pods, job_of, open_pods
from tests.support.waiting import wait_until_async

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


async def answer_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The smallest HTTP server."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HELLO)
    await writer.drain()
    writer.close()


@dataclass(frozen=True, slots=True)
class EgressPods:
    """port: a TLS server's that responds with `hello`; all names of the setup resolve to it."""

    pods: Pods
    setup: ProxySetup
    port: int

    async def worker(self, *allowlist: str, network: Network = Network.ALLOWLIST) -> Container:
        """A worker of a new pod that may reach `files.test` and these entries."""
        entries = (f"files.test:{self.port}", f"127.0.0.1:{self.port}", *allowlist)
        return (await self.pods.pod(network=network, allowlist=entries))[1]

    async def shell(self, container: Container, command: str) -> tuple[int, str]:
        code, printed = await self.pods.shell(container, command)
        return code, printed.decode(errors="replace")

    async def python(self, container: Container, program: str) -> str:
        """What a program prints; it must exit with 0."""
        code, printed = await self.pods.python(container, program)
        assert code == 0, printed.decode(errors="replace")
        return printed.decode(errors="replace")

    def ledger(self, container: Container) -> Sequence[Contact]:
        return self.setup.ledgers.read(job_of(container.pod_id))

    async def wait_for_ledger(self, container: Container, count: int) -> Sequence[Contact]:
        """The ledger once it has `count` contacts."""
        await wait_until_async(lambda: len(self.ledger(container)) >= count, SECONDS, f"{count} contacts")
        return self.ledger(container)


@asynccontextmanager
async def open_egress_pods(
    directory: Path, authority: Authority, host_paths: Sequence[Path] = ()
) -> AsyncIterator[EgressPods]:
    """As on a server: the proxy runs as its own user where the tests run as root."""
    settings = proxy_settings(directory, user=PROXY_USER if has_ids_for_pods() else 0)
    async with open_proxies(directory, settings) as setup:
        port = await setup.server(answer_hello, authority.server_context())
        async with open_pods(directory / "data", setup.proxies, host_paths) as pods:
            yield EgressPods(pods, setup, port)
        assert setup.logged() == ""
