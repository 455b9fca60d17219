"""What a pod costs on Kubernetes, over the fake cluster, or a real one by KUBECONFIG.

The fake's containers are processes of this machine: its figures are what Danube itself adds. Beside them is what
a plain client of the same API needs. `tests/contract/pods.py` says what a real one must have.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figures import Figure
from danube_pkg.adapters.runtimes.kubernetes import KubernetesRuntime
from danube_pkg.core.runtimes.pods import HOST_IMAGE, SUPERVISOR, Container
from danube_pkg.kit.records import Record
from tests.adapters.runtimes.kubernetes.clusters import NAMESPACE, new_cluster_runtime
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of
from tests.contract.kubernetes_pods import ClusterUnderTest
from tests.contract.pods import open_real_cluster
from tests.fakes.kubernetes.cluster import open_cluster
from tests.support.kubernetes_api import KubernetesClient, open_client

PODS = 8
TOGETHER = int(os.environ.get("DANUBE_BENCH_TOGETHER", "50"))
EXECS = 20
OUTPUT_MB = 50
VERSION = (SUPERVISOR, "version")


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        return asyncio.run(_measure(Path(directory)))


async def _measure(directory: Path) -> list[Figure]:
    async with _site(directory / "cluster") as site, open_client(site.kubeconfig) as client:
        runtime = site.runtime
        times = [(*await _times_of_a_pod(runtime), await _bare_pod(site, client)) for _ in range(PODS)][1:]
        created, worker, removed, plain = (statistics.median(column) for column in zip(*times, strict=True))
        ours, bare = await _execs(runtime, client)
        carried = await _carried(runtime)
        together = await _seconds(_together(runtime))
    note = f"a plain pod of one container runs after {plain * 1000:.0f} ms"
    return [
        Figure("kubernetes: pod created", created * 1000, "ms", note=note),
        Figure("kubernetes: output of an exec", OUTPUT_MB / carried, "MB/s"),
        Figure("kubernetes: first worker", worker * 1000, "ms"),
        Figure("kubernetes: pod removed", removed * 1000, "ms"),
        Figure("kubernetes: exec beside a bare one", ours / bare, "ratio", 1.3, note=f"bare {bare * 1000:.0f} ms"),
        Figure(f"kubernetes: {TOGETHER} pods at once, created and removed", together, "s"),
    ]


class _Site(Record):
    """A cluster. image: of plain pods, one with a shell."""

    runtime: KubernetesRuntime
    kubeconfig: Path
    image: str


@asynccontextmanager
async def _site(directory: Path) -> AsyncIterator[_Site]:
    if "KUBECONFIG" in os.environ:
        async with open_real_cluster() as real:
            yield _Site(real.runtime, Path(os.environ["KUBECONFIG"]), os.environ["DANUBE_TEST_IMAGE"])
        return
    async with open_cluster(directory) as cluster:
        runtime = new_cluster_runtime(cluster)
        try:
            yield _Site(runtime, cluster.kubeconfig, "programs:1")
        finally:
            await runtime.close()


async def _bare_pod(site: _Site, client: KubernetesClient) -> float:
    """Seconds until a pod of one container runs, as `kubectl run` makes it."""
    plain = ClusterUnderTest(client, None, NAMESPACE, site.image)
    name = f"plain-{new_pod_id()}"
    seconds = await _seconds(plain.running(plain.pod(name)))
    await client.delete(f"{plain.pods}/{name}", {"gracePeriodSeconds": 1})
    await client.wait_gone(f"{plain.pods}/{name}")
    return seconds


async def _carried(runtime: KubernetesRuntime) -> float:
    """Seconds to read OUTPUT_MB of a program's output."""
    container = await runtime.create_pod(spec_of(new_pod_id()))
    worker = await runtime.ensure_container(container.pod_id, HOST_IMAGE)
    command = ("/bin/sh", "-c", f"head -c {OUTPUT_MB * 1_000_000} /dev/zero")
    seconds = min([await _seconds(_exec(runtime, worker, command)) for _ in range(3)])
    await runtime.delete_pod(container.pod_id)
    return seconds


async def _times_of_a_pod(runtime: KubernetesRuntime) -> tuple[float, float, float]:
    pod_id = new_pod_id()
    return (
        await _seconds(runtime.create_pod(spec_of(pod_id))),
        await _seconds(runtime.ensure_container(pod_id, HOST_IMAGE)),
        await _seconds(runtime.delete_pod(pod_id)),
    )


async def _execs(runtime: KubernetesRuntime, client: KubernetesClient) -> tuple[float, float]:
    """The medians of an exec by the runtime and by a plain client, by turns on one container."""
    container = await runtime.create_pod(spec_of(new_pod_id()))
    path = f"/api/v1/namespaces/danube-jobs/pods/danube-{container.pod_id}"
    command = ["/.danube/bin/danube-step", "version"]
    ours, bare = [], []
    for _ in range(EXECS):
        ours.append(await _seconds(_exec(runtime, container)))
        bare.append(await _seconds(client.exec(path, command, container="coordinator", given=b"")))
    await runtime.delete_pod(container.pod_id)
    return statistics.median(ours), statistics.median(bare)


async def _exec(runtime: KubernetesRuntime, container: Container, argv: Sequence[str] = VERSION) -> None:
    stream = await runtime.exec(container, argv)
    await stream.close_input()
    while await stream.read():
        continue
    await stream.wait()
    await stream.close()


async def _together(runtime: KubernetesRuntime) -> None:
    specs = [spec_of(new_pod_id()) for _ in range(TOGETHER)]
    await asyncio.gather(*(runtime.create_pod(spec) for spec in specs))
    await asyncio.gather(*(runtime.delete_pod(spec.pod_id) for spec in specs))


async def _seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started
