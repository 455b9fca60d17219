"""The runtime on a cluster with the real egress proxy: what a program in a pod reaches, and what is left afterwards."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from danube_pkg.adapters.egress.canaries import CanaryPort
from danube_pkg.adapters.runtimes.kubernetes import (
    ClusterAccess,
    ClusterNetwork,
    ClusterNetworkOptions,
    KubernetesRuntime,
    cluster_network,
)
from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.egress.credentials import NetworkAccess, ProxyCredential
from danube_pkg.core.runtimes.choice import ClusterLocation
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.core.runtimes.pods import Container, Limits, Network, PodSpec
from danube_pkg.kit.records import replace
from tests.adapters.egress.proxies import ProxySetup, open_proxies, proxy_settings
from tests.adapters.runtimes.kubernetes.objects import SETTINGS
from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster
from tests.fakes.kubernetes.resources import RESOURCES

NETWORK_POLICIES = RESOURCES["networkpolicies"]

FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).status)"


@asynccontextmanager
async def open_runtime(cluster: FakeCluster, setup: ProxySetup) -> AsyncIterator[KubernetesRuntime]:
    """Its network accepts that the fake stores policies and enforces none."""
    addresses, canaries = PodAddresses(), CanaryPort("127.0.0.1:0", "")
    async with canaries.listening():
        await setup.proxies.listen()
        control = setup.proxies.network_address
        options = ClusterNetworkOptions(control, control, (), False, lambda job_id: f"password-{job_id}")
        network = ClusterNetwork(options, SETTINGS, setup.proxies, canaries, addresses)
        access = ClusterAccess(ClusterLocation(cluster.kubeconfig))
        runtime = KubernetesRuntime(SETTINGS, access, network, addresses)
        try:
            yield runtime
        finally:
            await runtime.close()


async def output_of(runtime: KubernetesRuntime, container: Container, argv: Sequence[str]) -> str:
    stream = await runtime.exec(container, argv)
    output = b""
    while data := await stream.read():
        output += data
    await stream.close()
    return output.decode()


async def test_a_pod_of_a_cluster_uses_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_network, "WARN_SECONDS", 0.0)
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    settings = proxy_settings(tmp_path)
    settings = replace(settings, network_address="127.0.0.1:0", translated=("127.0.0.0/8",))
    async with open_cluster(tmp_path / "cluster") as cluster, open_proxies(tmp_path, settings) as setup:
        port = await setup.server(serve)
        allowlist = (f"files.test:{port}", f"127.0.0.1:{port}")
        spec = PodSpec("p1", "job1", "app", Limits(), Network.ALLOWLIST, "token", allowlist=allowlist)
        async with open_runtime(cluster, setup) as runtime:
            await runtime.create_pod(spec)
            assert await runtime.egress_enforced_by("p1") is EnforcedBy.NOTHING
            (policy,) = cluster.objects(NETWORK_POLICIES, SETTINGS.namespace)
            assert "password" not in str(policy) + str(cluster.pod(SETTINGS.namespace, "danube-p1"))
            worker = await runtime.ensure_container("p1", "python:3")
            credential = ProxyCredential("job1", 3, "password-job1")
            variables = credential.variables(NetworkAccess(setup.proxies.network_address))
            command = ("env", *(f"{name}={value}" for name, value in variables.items()), "python3", "-c", FETCH)
            assert await output_of(runtime, worker, (*command, f"http://files.test:{port}/")) == "200\n"
            await output_of(runtime, worker, (*command, f"http://other.test:{port}/"))
            found = [(one.step, one.host, str(one.reason)) for one in setup.ledgers.read("job1")]
            assert found == [(3, "files.test", "listed"), (3, "other.test", "not-listed")]
            assert len(heads) == 1
            await runtime.delete_pod("p1")
            assert await setup.proxies.served() == frozenset()
        assert cluster.objects(NETWORK_POLICIES, SETTINGS.namespace) == []
