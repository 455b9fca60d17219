"""What a pod costs on Kubernetes, over the fake cluster. Its containers are processes of this machine, so the figures
are what Danube itself adds; beside them is what a plain client of the same API needs."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from bench.figures import Figure
from danube_pkg.adapters.runtimes.kubernetes import KubernetesRuntime
from danube_pkg.core.runtimes.pods import HOST_IMAGE, SUPERVISOR, Container
from tests.adapters.runtimes.kubernetes.clusters import new_cluster_runtime
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of
from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster
from tests.support.kubernetes_api import open_client

PODS = 8
TOGETHER = 50
EXECS = 20


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        return asyncio.run(_measure(Path(directory)))


async def _measure(directory: Path) -> list[Figure]:
    async with open_cluster(directory / "cluster") as cluster:
        runtime = new_cluster_runtime(cluster)
        try:
            times = [await _times_of_a_pod(runtime) for _ in range(PODS)][1:]
            created, worker, removed = (statistics.median(column) for column in zip(*times, strict=True))
            ours, bare = await _execs(runtime, cluster)
            together = await _seconds(_together(runtime))
        finally:
            await runtime.close()
    return [
        Figure("kubernetes: pod created", created * 1000, "ms"),
        Figure("kubernetes: first worker", worker * 1000, "ms"),
        Figure("kubernetes: pod removed", removed * 1000, "ms"),
        Figure("kubernetes: exec beside a bare one", ours / bare, "ratio", 1.3, note=f"bare {bare * 1000:.0f} ms"),
        Figure(f"kubernetes: {TOGETHER} pods at once, created and removed", together, "s"),
    ]


async def _times_of_a_pod(runtime: KubernetesRuntime) -> tuple[float, float, float]:
    pod_id = new_pod_id()
    return (
        await _seconds(runtime.create_pod(spec_of(pod_id))),
        await _seconds(runtime.ensure_container(pod_id, HOST_IMAGE)),
        await _seconds(runtime.delete_pod(pod_id)),
    )


async def _execs(runtime: KubernetesRuntime, cluster: FakeCluster) -> tuple[float, float]:
    """The medians of an exec by the runtime and by a plain client, by turns on one container."""
    container = await runtime.create_pod(spec_of(new_pod_id()))
    path = f"/api/v1/namespaces/danube-jobs/pods/danube-{container.pod_id}"
    command = ["/.danube/bin/danube-step", "version"]
    ours, bare = [], []
    async with open_client(cluster.kubeconfig) as client:
        for _ in range(EXECS):
            ours.append(await _seconds(_exec(runtime, container)))
            bare.append(await _seconds(client.exec(path, command, container="coordinator", given=b"")))
    await runtime.delete_pod(container.pod_id)
    return statistics.median(ours), statistics.median(bare)


async def _exec(runtime: KubernetesRuntime, container: Container) -> None:
    stream = await runtime.exec(container, (SUPERVISOR, "version"))
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
