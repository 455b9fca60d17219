"""What a pod costs: its creation with the coordinator's container, its first worker, its removal."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from bench.figures import Figure
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Limits
from tests.adapters.runtimes.sandbox.pods import Pods, new_pod_id, open_pods, spec_of

PODS = 12
"""Each kind is made this often; the first one makes what the others share."""

MEASURED = Limits(workspace_bytes=0)
"""No bound, so no file system of its own: what is left is the cost of namespaces, ids and control groups."""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        return asyncio.run(_measure(Path(directory) / "data"))


async def _measure(data: Path) -> list[Figure]:
    async with open_pods(data) as pods:
        times = [await _times_of_a_pod(pods, Limits()) for _ in range(PODS)][1:]
        without = [await _times_of_a_pod(pods, MEASURED) for _ in range(PODS)][1:]
    created, worker, removed = (statistics.median(column) for column in zip(*times, strict=True))
    bare = statistics.median(first for first, _, _ in without)
    return [
        Figure(
            "pod: created", created * 1000, "ms", 150, note=f"without a file system of its own {bare * 1000:.0f} ms"
        ),
        Figure("pod: first worker", worker * 1000, "ms"),
        Figure("pod: removed", removed * 1000, "ms"),
    ]


async def _times_of_a_pod(pods: Pods, limits: Limits) -> tuple[float, float, float]:
    pod_id = new_pod_id()
    return (
        await _seconds(pods.runtime.create_pod(spec_of(pod_id, limits=limits))),
        await _seconds(pods.runtime.ensure_container(pod_id, HOST_IMAGE)),
        await _seconds(pods.runtime.delete_pod(pod_id)),
    )


async def _seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started
