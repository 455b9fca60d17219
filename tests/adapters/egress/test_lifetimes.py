"""The proxy outlives its server, downloads survive a kill and an upgrade, and proxies end with their last pod."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool
from danube_pkg.kit.records import replace
from tests.adapters.egress.proxies import (
    SECONDS,
    Pod,
    ProxySetup,
    hand_over,
    open_proxies,
    proxy_settings,
)
from tests.adapters.egress.test_tunnels import GREETING, Seen
from tests.support.waiting import wait_until_async

ROOT = Path(__file__).resolve().parents[3]
SIZE = 8_000_000

SERVER = """
import asyncio, pathlib, sys
from tests.adapters.egress.proxies import *

async def main():
    directory, allowed = pathlib.Path(sys.argv[1]), sys.argv[2:]
    proxies = EgressProxyPool(proxy_settings(directory), FileLedgers(directory / "logs"))
    pod = await hand_over(proxies, [], allowed)
    print(pod.job_id, pod.port, pod.holder.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
"""The program of a server that hands one pod over and then runs until it is killed."""


class Download:
    """A server whose response has two halves; the second one waits for an event."""

    def __init__(self) -> None:
        self.resume = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"1" * (SIZE // 2))
        await writer.drain()
        await self.resume.wait()
        writer.write(b"2" * (SIZE // 2))
        await writer.drain()
        writer.close()


async def test_a_download_continues_when_the_server_is_killed(tmp_path: Path) -> None:
    download = Download()
    async with open_proxies(tmp_path) as setup:
        port = await setup.server(download)
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, str(tmp_path), f"127.0.0.1:{port}",
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert server.stdout is not None
        async with asyncio.timeout(SECONDS):
            job_id, pod_port, holder = (await server.stdout.readline()).decode().split()
        pod = Pod(job_id, "127.0.0.1", int(pod_port), 0, server)
        try:
            tunnel = await pod.connect(f"127.0.0.1:{port}")
            async with asyncio.timeout(SECONDS):
                assert await tunnel.reader.readexactly(SIZE // 2) == b"1" * (SIZE // 2)
            server.kill()
            await server.wait()
            download.resume.set()
            assert await tunnel.read() == b"2" * (SIZE // 2)
            tunnel.close()
            assert (await setup.contacts(pod, ended=True))[0].received_bytes == SIZE

            assert await setup.proxies.served() == {job_id}  # the next server finds it
            after = await pod.connect(f"127.0.0.1:{port}")
            assert after.status == 200
            after.close()
        finally:
            os.kill(int(holder), signal.SIGKILL)


async def test_a_new_version_serves_new_pods_and_the_old_one_ends_with_its_last_pod(tmp_path: Path) -> None:
    download = Download()
    async with open_proxies(tmp_path, proxy_settings(tmp_path, generation="1.0")) as old:
        port = await old.server(download)
        old_pod = await old.pod([f"127.0.0.1:{port}"])
        tunnel = await old_pod.connect(f"127.0.0.1:{port}")
        (old_process,) = old.processes()
        await old.proxies.close()

        upgraded = EgressProxyPool(proxy_settings(tmp_path, generation="2.0"), FileLedgers(tmp_path / "logs"))
        new_pod = await hand_over(upgraded, old.pods, [f"127.0.0.1:{port}"])
        assert (await new_pod.connect(f"127.0.0.1:{port}")).status == 200
        assert await upgraded.served() == {old_pod.job_id, new_pod.job_id}
        assert len(old.processes()) == 2

        download.resume.set()
        assert len(await tunnel.read()) == SIZE
        tunnel.close()
        await old_pod.end()
        await old.contacts(old_pod, ended=True)
        await upgraded.close()
        await wait_until_async(lambda: old_process not in old.processes(), SECONDS, "the old proxy's end")
        assert len(old.processes()) == 1
        assert (await new_pod.connect(f"127.0.0.1:{port}")).status == 200


async def test_the_end_of_a_pod_ends_its_connections_and_its_sockets(setup: ProxySetup) -> None:
    seen = Seen()
    port = await setup.server(seen)
    pod = await setup.pod([f"127.0.0.1:{port}"])
    other = await setup.pod([f"127.0.0.1:{port}"])
    tunnel = await pod.connect(f"127.0.0.1:{port}")
    await pod.end()
    await tunnel.read()
    (contact,) = await setup.contacts(pod, ended=True)
    assert contact.received_bytes == len(GREETING)
    await wait_until_async(lambda: seen.ended == 1, SECONDS, "the connection outside to end")
    assert await setup.proxies.served() == {other.job_id}
    assert (await other.connect(f"127.0.0.1:{port}")).status == 200


async def test_a_proxy_without_pods_and_server_ends(tmp_path: Path) -> None:
    async with open_proxies(tmp_path) as setup:
        assert await setup.proxies.served() == frozenset()
        assert setup.processes() == []
        pod = await setup.pod()
        assert (await pod.connect("files.test:443")).status == 403
        await pod.end()
        await setup.proxies.close()
        await setup.wait_no_process()


async def test_a_stopped_proxy_is_named_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_proxies(tmp_path, replace(proxy_settings(tmp_path), silence_seconds=3.0)) as setup:
        pod = await setup.pod()
        assert (await pod.connect("files.test:443")).status == 403
        (stopped,) = setup.processes()
        assert await setup.proxies.conditions() == []
        monkeypatch.setattr("danube_pkg.adapters.egress.proxies.PROBE_SECONDS", 0.2)
        os.kill(stopped, signal.SIGSTOP)
        (condition,) = await setup.proxies.conditions()
        assert condition.reference == "egress-not-answering"
        async with asyncio.timeout(SECONDS):
            await setup.proxies.wait_lost()
        assert await setup.proxies.conditions() == []
        assert setup.processes() == []
        again = await setup.pod()
        assert (await again.connect("files.test:443")).status == 403
        assert "egress-proxy-replaced" in caplog.text


async def test_a_proxy_that_was_stopped_before_its_first_answer_is_replaced(tmp_path: Path) -> None:
    settings = proxy_settings(tmp_path)
    stops = (settings.command[0], "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "danube_pkg")
    async with open_proxies(tmp_path, replace(settings, command=stops, silence_seconds=1.0)) as setup:
        await setup.pod()
        async with asyncio.timeout(SECONDS):
            await setup.proxies.wait_lost()
        assert await setup.proxies.served() == frozenset()


async def test_a_pod_of_a_killed_proxy_can_be_handed_over_again(tmp_path: Path) -> None:
    async with open_proxies(tmp_path) as setup:
        pod = await setup.pod()
        assert (await pod.connect("files.test:443")).status == 403
        os.kill(setup.processes()[0], signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            await setup.proxies.wait_lost()
        assert await setup.proxies.served() == frozenset()
        again = await setup.pod()
        assert (await again.connect("files.test:443")).status == 403
        assert await setup.proxies.served() == {again.job_id}


async def test_a_proxy_that_is_terminated_records_the_ends_of_its_connections(tmp_path: Path) -> None:
    async with open_proxies(tmp_path) as setup:
        seen = Seen()
        port = await setup.server(seen)
        pod = await setup.pod([f"127.0.0.1:{port}"])
        tunnel = await pod.connect(f"127.0.0.1:{port}")
        await wait_until_async(lambda: seen.connections == 1, SECONDS, "the connection outside")
        os.kill(setup.processes()[0], signal.SIGTERM)
        await tunnel.read()
        (contact,) = await setup.contacts(pod, ended=True)
        assert contact.ended_at is not None


async def test_a_pod_that_is_withdrawn_is_let_out_no_more_and_its_ledger_is_final(setup: ProxySetup) -> None:
    seen = Seen()
    port = await setup.server(seen)
    pod, other = await setup.pod([f"127.0.0.1:{port}"]), await setup.pod([f"127.0.0.1:{port}"])
    tunnel = await pod.connect(f"127.0.0.1:{port}")
    for _ in range(2):
        await setup.proxies.withdraw(pod.job_id)
    assert await tunnel.read() in (b"", GREETING), "its open connections end"
    ledger = setup.ledger(pod)
    with pytest.raises(OSError):
        await pod.open()
    assert setup.ledger(pod) == ledger
    assert await setup.proxies.served() == frozenset({other.job_id})
    assert (await other.connect(f"127.0.0.1:{port}")).status == 200
    assert pod.holder.returncode is None
