"""Pods on a network: the credential and the address tell the job and its step, the rest is as in the sandbox."""

import asyncio
import base64
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool
from danube_pkg.core.egress.credentials import NetworkAccess, ProxyCredential, parse_credential
from danube_pkg.core.egress.ports import NetworkPod
from danube_pkg.core.errors import Permanent
from danube_pkg.kit.records import replace
from tests.adapters.egress.certificates import Authority
from tests.adapters.egress.proxies import SECONDS, ProxySetup, Tunnel, open_proxies, proxy_settings
from tests.adapters.egress.test_lifetimes import SIZE, Download
from tests.adapters.egress.test_tunnels import GREETING, Seen

PASSWORD = "Password_of-this-job"
ONE, OTHER = "127.0.0.2", "127.0.0.3"
"""The addresses of two pods."""

FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).status)"
"""A program that knows the proxy by its variables only."""


@dataclass
class Client:
    """Programs in a pod at an address. credential: what they give to the proxy."""

    proxies: EgressProxyPool
    address: str
    credential: ProxyCredential | None

    async def connect(self, target: str) -> Tunnel:
        """Sends CONNECT."""
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
        if self.credential is not None:
            text = f"{self.credential.job_id}.{self.credential.step}:{self.credential.password}"
            head += f"Proxy-Authorization: Basic {base64.b64encode(text.encode()).decode()}\r\n"
        host, _, port = self.proxies.network_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), local_addr=(self.address, 0))
        writer.write(f"{head}\r\n".encode())
        async with asyncio.timeout(SECONDS):
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        return Tunnel(int(answer.split()[1]), answer, reader, writer)

    async def refusal(self, target: str = "files.test:443") -> str:
        """The whole response to a connection that is refused."""
        tunnel = await self.connect(target)
        text = tunnel.head + (await tunnel.read()).decode()
        tunnel.close()
        assert tunnel.status != 200
        return text


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[ProxySetup]:
    async with open_network(tmp_path) as setup:
        yield setup
        logged = setup.logged()
    assert logged == ""


@contextlib.asynccontextmanager
async def open_network(path: Path, generation: str = "test", address: str = "127.0.0.1:0") -> AsyncIterator[ProxySetup]:
    """A server whose pods are on a network; they are released at its end."""
    settings = replace(proxy_settings(path, generation=generation), network_address=address)
    async with open_proxies(path, settings) as setup:
        yield setup
        for job_id in await setup.proxies.served():
            await setup.proxies.release(job_id)


async def admit(setup: ProxySetup, job_id: str, allowlist: Sequence[str] = (), address: str = ONE) -> Client:
    """A pod that was admitted, as step 7 of its job."""
    await setup.proxies.admit(NetworkPod(job_id, tuple(allowlist), f"{PASSWORD}-{job_id}", (address,)))
    await setup.proxies.listen()
    return Client(setup.proxies, address, ProxyCredential(job_id, 7, f"{PASSWORD}-{job_id}"))


def reasons(setup: ProxySetup, job_id: str) -> list[str]:
    return [str(one.reason) for one in setup.ledgers.read(job_id)]


async def test_a_program_uses_the_proxy_by_the_variables_of_its_step(network: ProxySetup) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    port = await network.server(serve)
    client = await admit(network, "job-a", [f"files.test:{port}", f"127.0.0.1:{port}"], address="127.0.0.1")
    assert client.credential is not None
    variables = client.credential.variables(NetworkAccess(network.proxies.network_address, ("registry.test",)))
    assert variables["NO_PROXY"].endswith(",registry.test")
    assert PASSWORD not in repr(client.credential)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FETCH, f"http://files.test:{port}/",
        env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert output == b"200\n"
    (contact,) = [one for one in network.ledgers.read("job-a") if one.way == "http"]
    assert (contact.step, contact.host, contact.port, contact.reason) == (7, "files.test", port, "listed")
    assert b"authorization" not in heads[0].lower()


async def test_names_and_tls_names_and_addresses_are_checked_as_in_the_sandbox(
    network: ProxySetup, authority: Authority
) -> None:
    port = await network.server(Seen(), authority.server_context())
    client = await admit(network, "job-a", [f"files.test:{port}", f"127.0.0.1:{port}", f"private.test:{port + 1}"])
    assert "(not-listed)" in await client.refusal(f"other.test:{port}")
    assert "(loopback-address)" in await client.refusal(f"private.test:{port + 1}")
    assert "(private-address)" in await client.refusal("10.1.2.3:443")
    assert "(metadata-address)" in await client.refusal("169.254.169.254:80")
    good = await client.connect(f"files.test:{port}")
    await good.start_tls(authority.client_context(), "files.test")
    good.close()
    bad = await client.connect(f"files.test:{port}")
    with pytest.raises(ssl.SSLError):
        await bad.start_tls(authority.client_context(), "evil.test")
    bad.close()
    assert reasons(network, "job-a") == [
        "not-listed", "loopback-address", "private-address", "metadata-address", "listed", "server-name-differs",
    ]  # fmt: skip
    assert {one.step for one in network.ledgers.read("job-a")} == {7}


async def test_a_connection_that_is_not_the_jobs_gets_nothing(network: ProxySetup) -> None:
    port = await network.server(Seen())
    allowed = [f"127.0.0.1:{port}"]
    one, other = await admit(network, "job-a", allowed), await admit(network, "job-b", allowed, address=OTHER)
    target = f"127.0.0.1:{port}"
    cases = {
        "credential-missing": Client(network.proxies, ONE, None),
        "credential-wrong": Client(network.proxies, ONE, ProxyCredential("job-a", 7, "guessed")),
        "credential-foreign": Client(network.proxies, OTHER, one.credential),
    }
    for reason, client in cases.items():
        text = await client.refusal(target)
        assert text.startswith("HTTP/1.1 407 Proxy Authentication Required\r\n")
        assert 'Proxy-Authenticate: Basic realm="danube"' in text
        assert f'details="{reason}"' in text
        assert "HTTPS_PROXY" in text
    unknown = Client(network.proxies, "127.0.0.9", one.credential)
    assert "credential-foreign" in await unknown.refusal(target)
    ended = Client(network.proxies, "127.0.0.9", ProxyCredential("job-c", 1, PASSWORD))
    assert "credential-wrong" in await ended.refusal(target)
    assert reasons(network, "job-a") == ["credential-wrong"]
    assert reasons(network, "job-b") == ["credential-foreign"]  # that of the pod which tried it
    assert (await other.connect(target)).status == 200


async def test_an_address_that_was_moved_is_followed(network: ProxySetup) -> None:
    port = await network.server(Seen())
    client = await admit(network, "job-a", [f"127.0.0.1:{port}"])
    await admit(network, "job-a", [f"127.0.0.1:{port}"], address=OTHER)
    assert "credential-foreign" in await client.refusal(f"127.0.0.1:{port}")
    moved = Client(network.proxies, OTHER, client.credential)
    assert (await moved.connect(f"127.0.0.1:{port}")).status == 200


async def test_released_pods_lose_their_connections(network: ProxySetup) -> None:
    port = await network.server(Seen())
    client = await admit(network, "job-a", [f"127.0.0.1:{port}"])
    tunnel = await client.connect(f"127.0.0.1:{port}")
    await network.proxies.release("job-a")
    assert await tunnel.read() in (b"", GREETING)
    assert "credential-wrong" in await client.refusal(f"127.0.0.1:{port}")
    await network.proxies.release("job-a")
    assert await network.proxies.served() == frozenset()


async def test_an_upgrade_breaks_no_download_and_refuses_no_connection(tmp_path: Path) -> None:
    download = Download()
    async with open_network(tmp_path, "old") as old:
        port = await old.server(download)
        client = await admit(old, "job-a", [f"127.0.0.1:{port}"])
        tunnel = await client.connect(f"127.0.0.1:{port}")
        address = old.proxies.network_address
        settings = replace(proxy_settings(tmp_path, generation="new"), network_address=address)
        new = EgressProxyPool(settings, FileLedgers(tmp_path / "logs"))
        assert await new.served() == frozenset()  # its pods are to be admitted again
        await new.admit(NetworkPod("job-a", (f"127.0.0.1:{port}",), f"{PASSWORD}-job-a", (ONE,)))
        await new.listen()
        assert new.network_address == address
        assert await new.served() == {"job-a"}
        for _ in range(20):
            fresh = await Client(new, ONE, client.credential).connect(f"127.0.0.1:{port}")
            assert fresh.status == 200
            fresh.close()
        download.resume.set()
        assert len(await tunnel.read()) == SIZE
        await new.release("job-a")
        await new.close()
    processes = {one.connection.split("-")[0] for one in FileLedgers(tmp_path / "logs").read("job-a")}
    assert len(processes) == 2


async def test_connections_wait_while_a_proxy_is_replaced(network: ProxySetup) -> None:
    port = await network.server(Seen())
    client = await admit(network, "job-a", [f"127.0.0.1:{port}"])
    (process,) = network.processes()
    os.kill(process, 9)
    async with asyncio.timeout(SECONDS):
        await network.proxies.wait_lost()
    waiting = asyncio.create_task(client.connect(f"127.0.0.1:{port}"), name="waiting")
    assert await network.proxies.served() == frozenset()
    await admit(network, "job-a", [f"127.0.0.1:{port}"])
    assert (await waiting).status == 200


async def test_a_restarted_server_finds_its_proxy_and_address(tmp_path: Path) -> None:
    async with open_network(tmp_path) as first:
        port = await first.server(Seen())
        client = await admit(first, "job-a", [f"127.0.0.1:{port}"])
        address = first.proxies.network_address
        await first.proxies.close()
        async with open_network(tmp_path, address=address) as second:
            assert await second.proxies.served() == {"job-a"}
            await second.proxies.listen()
            assert (await Client(second.proxies, ONE, client.credential).connect(f"127.0.0.1:{port}")).status == 200
            assert len(second.processes()) == 1
            await second.proxies.release("job-a")


async def test_an_address_in_use_is_refused_with_its_setting(tmp_path: Path, network: ProxySetup) -> None:
    await network.proxies.listen()
    settings = replace(proxy_settings(tmp_path / "other"), network_address=network.proxies.network_address)
    async with open_proxies(tmp_path / "other", settings) as other:
        with pytest.raises(Permanent, match="cannot listen") as raised:
            await other.proxies.listen()
        assert "bind_address" in raised.value.hint


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Basic", b"Bearer abc", b"Basic %%%", b"Basic " + base64.b64encode(b"no-colon"),
     b"Basic " + base64.b64encode(b"a b:x"), b"Basic " + base64.b64encode(b"job.1234567890:x"), b"Basic /w=="],
)  # fmt: skip
def test_other_headers_are_no_credential(header: bytes | None) -> None:
    assert parse_credential(header) is None


def test_a_credential_is_read_as_it_is_written() -> None:
    for step in (None, 0, 123):
        credential = ProxyCredential("01kabc", step, "pass-word_")
        url = credential.variables(NetworkAccess("10.0.0.1:31280"))["https_proxy"]
        user = url.removeprefix("http://").partition("@")[0]
        assert parse_credential(b"basic " + base64.b64encode(user.encode())) == credential
