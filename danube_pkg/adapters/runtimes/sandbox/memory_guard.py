"""Ends pods that take too much memory where no control group limits it: as an ordinary user, and where the kernel gives
pods none. Elsewhere the kernel does, at once.

What is measured every second can grow meanwhile by what a program writes in a second; then the kernel ends builds
first (`oom_score_adj`). The guard keeps the server's share where builds grow as builds do.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from danube_pkg.adapters.runtimes.sandbox.machine_memory import effective_limits, memory_of_all_pods
from danube_pkg.adapters.runtimes.sandbox.memory_use import MemoryUse, excess
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded, PodEvent
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever

CHECK_SECONDS = 1.0
"""Between two measurements, each of which reads some lines of every process of the machine."""

PAUSE_FACTOR = 4
"""Between two measurements this many times as long as the last one took."""

MAX_PAUSE_SECONDS = 5.0
"""After a measurement that failed, which is a bug or a server without free descriptors."""

_log = logging.getLogger("danube.sandbox")


class MemoryGuard:
    """pods: lists all pods. processes: those of a pod. publish: receives the end of each container, once. together: the
    limit of all pods in bytes, by default that of the machine."""

    def __init__(
        self,
        pods: Callable[[], Sequence[PodDirectory]],
        processes: Callable[[PodDirectory], Collection[int]],
        publish: Callable[[PodEvent], None],
        timing: Timing,
        together: int = 0,
    ) -> None:
        self._pods = pods
        self._processes = processes
        self._publish = publish
        self._timing = timing
        self._together = together or memory_of_all_pods()
        self._threads = ThreadPoolExecutor(1, "memory use")

    async def watch(self) -> None:
        """Runs until cancelled."""
        pauses = Pauses(CHECK_SECONDS, MAX_PAUSE_SECONDS)
        await for_ever(self._check, Streak("memory-check", self._timing, pauses, log=_log), self._timing)

    def close(self) -> None:
        """Start no more measurements."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _check(self) -> float:
        began = self._timing.clock.monotonic()
        pods = {pod.pod_id: pod for pod in self._pods()}
        limits = {
            pod_id: effective_limits(record.limits).memory_bytes
            for pod_id, pod in pods.items()
            if (record := pod.read_pod()) is not None
        }
        loop = asyncio.get_running_loop()
        causes = await loop.run_in_executor(self._threads, self._causes, [pods[pod_id] for pod_id in limits], limits)
        for pod_id, cause in causes.items():
            self._end(pods[pod_id], cause)
        return max(CHECK_SECONDS, PAUSE_FACTOR * (self._timing.clock.monotonic() - began))

    def _causes(self, pods: Sequence[PodDirectory], limits: Mapping[str, int]) -> Mapping[str, str]:
        use = MemoryUse({pod.pod_id: self._processes(pod) for pod in pods})
        if not excess(use.resident_bytes(), limits, self._together):
            return {}
        return excess(use.exact_bytes(), limits, self._together)

    def _end(self, pod: PodDirectory, cause: str) -> None:
        for known in pod.containers():
            if known.init.lives():
                self._publish(ContainerEnded(known.container, known.job_id, Reason.OUT_OF_MEMORY, cause))
                known.init.kill()
