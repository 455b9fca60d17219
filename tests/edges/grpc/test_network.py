"""Coordinators in a cluster: TLS by the server's own authority, one job's token from one job's pod, bounds."""

import asyncio
import contextlib
import json
import ssl
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.keys.authority import CoordinatorAuthority
from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.runtimes.connection import COORDINATOR_NAME, CoordinatorConnection
from danube_pkg.core.runtimes.pod_addresses import PodAddresses, job_address
from danube_pkg.edges.grpc import network
from danube_pkg.edges.grpc.network import CoordinatorPort, NetworkListener
from danube_pkg.edges.grpc.server import CoordinatorServer
from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.server_connection import SERVER_NAME, ServerConnection
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.forked import fork_server
from tests.support.moved_clock import MovedClock
from tests.support.waiting import wait_until_true

DAY = 86_400.0

_caller = fork_server("tests.edges.grpc.network_caller")


@dataclass
class Cluster:
    """A server with two running jobs that listens on an address."""

    engine: EngineSetup
    address: str
    authority: CoordinatorAuthority
    pods: PodAddresses
    clock: MovedClock
    job: str
    other: str

    def token(self, job_id: str) -> str:
        return self.engine.keys.job_token(job_id)

    async def call(self, authorization: str, authority: str = "") -> Mapping[str, str]:
        """How a call of another process ends."""
        variables = {
            "ADDRESS": self.address,
            "AUTHORITY": authority or self.authority.bundle,
            "AUTHORIZATION": authorization,
        }
        process = await _caller.start(variables, 1 << 16)
        output = await process.stdout.readline()
        process.kill()
        await process.wait()
        ended: Mapping[str, str] = json.loads(output)
        return ended

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """A TLS connection on which nothing is sent."""
        context = ssl.create_default_context(cadata=self.authority.bundle)
        context.set_alpn_protocols(["h2"])
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host, int(port), ssl=context, server_hostname=COORDINATOR_NAME)


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    directory = tmp_path / "grpc"
    directory.mkdir()
    pods = PodAddresses()
    async with open_engine_setup(tmp_path) as engine:
        clock = MovedClock(time.time() - 16 * DAY)
        authority = CoordinatorAuthority(tmp_path / "keys", clock)
        listener = NetworkListener("127.0.0.1:0", authority, pods, clock)
        async with CoordinatorServer(engine.coordination, pods).serving(directory, listener) as address:
            jobs = []
            for _ in range(2):
                job = await engine.engine.submit(PIPELINE, Trigger("manual", "me"))
                await engine.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
                jobs.append(job.id)
            yield Cluster(engine, address, authority, pods, clock, *jobs)


async def test_a_job_is_started_through_its_mounted_files(cluster: Cluster, tmp_path: Path) -> None:
    mounted = tmp_path / "connection"
    mounted.mkdir()
    connection = CoordinatorConnection(cluster.address, cluster.authority.bundle)
    for name, content in connection.files(cluster.token(cluster.job)).items():
        (mounted / name).write_text(content)
    client = CoordinatorClient(ServerConnection.in_directory(mounted), "/workspace")
    await asyncio.to_thread(client.start)
    assert client.context["job_id"] == cluster.job
    assert cluster.token(cluster.job) not in repr(ServerConnection.in_directory(mounted))


async def test_calls_without_the_jobs_own_token_are_refused(cluster: Cluster) -> None:
    """By another process that trusts the server and is trusted with nothing."""
    guessed = cluster.token(cluster.job)[:-4] + "AAAA"
    assert (await cluster.call(""))["reference"] == "job-token-missing"
    assert (await cluster.call(f"Bearer {guessed}"))["reference"] == "job-token-invalid"
    assert await cluster.call(f"Bearer {cluster.token(cluster.job)}") == {"job": cluster.job}
    cluster.pods.assign("127.0.0.1", cluster.job)
    refused = await cluster.call(f"Bearer {cluster.token(cluster.other)}")
    assert (refused["code"], refused["reference"]) == ("UNAUTHENTICATED", "job-token-foreign")
    assert refused["cause"] == f"the call comes from the pod of job {cluster.job}"
    assert await cluster.call(f"Bearer {cluster.token(cluster.job)}") == {"job": cluster.job}


async def test_a_client_does_not_speak_to_another_server(cluster: Cluster, tmp_path: Path) -> None:
    """No token is sent to a server whose certificate another authority has signed."""
    foreign = CoordinatorAuthority(tmp_path / "foreign", cluster.clock).bundle
    ended = await cluster.call(f"Bearer {cluster.token(cluster.job)}", foreign)
    assert (ended["code"], ended["reference"]) == ("UNAVAILABLE", "")


async def test_a_renewed_certificate_is_used_for_new_connections(cluster: Cluster) -> None:
    async def serial() -> str:
        _, writer = await cluster.connect()
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        writer.close()
        return str(certificate["serialNumber"])

    before = await serial()
    _, kept = await cluster.connect()
    cluster.clock.move(16 * DAY)

    async def renewed() -> bool:
        return await serial() != before

    await wait_until_true(renewed, 20, "the new certificate")
    assert not kept.is_closing()
    kept.close()


async def test_one_pod_cannot_take_the_connections_of_others(cluster: Cluster) -> None:
    cluster.pods.assign("127.0.0.1", cluster.job)
    opened = [await cluster.connect() for _ in range(network.CONNECTIONS_OF_A_POD)]
    with pytest.raises(OSError):
        await cluster.connect()
    cluster.pods.release(cluster.job)
    _, later = await cluster.connect()  # a node's address has another bound
    for _, writer in (*opened, (None, later)):
        writer.close()


async def test_a_caller_without_tls_gets_nothing(cluster: Cluster) -> None:
    host, _, port = cluster.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert b"HTTP" not in await reader.read()
    writer.close()
    assert await cluster.call(f"Bearer {cluster.token(cluster.job)}") == {"job": cluster.job}


async def test_an_address_that_is_in_use_is_refused_with_its_setting(cluster: Cluster) -> None:
    listener = NetworkListener(cluster.address, cluster.authority, cluster.pods, cluster.clock)
    with pytest.raises(Permanent, match="cannot listen") as raised:
        async with CoordinatorPort(listener, "unused").serving():
            raise AssertionError("it listens twice")
    assert "grpc_address" in raised.value.hint


def test_client_and_server_have_one_name() -> None:
    assert SERVER_NAME == COORDINATOR_NAME


def test_an_address_belongs_to_the_last_pod_that_got_it() -> None:
    pods = PodAddresses()
    pods.assign("10.0.0.1", "a")
    pods.assign("10.0.0.2", "a")
    pods.assign("10.0.0.1", "b")
    assert pods.of_job("a") == ("10.0.0.2",)
    pods.release("a")
    assert (pods.job_at("10.0.0.1"), pods.job_at("10.0.0.2")) == ("b", None)
    assert pods.job_at(job_address("c")) == "c"
