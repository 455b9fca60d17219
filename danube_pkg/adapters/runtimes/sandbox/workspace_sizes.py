"""Ends pods that use up their disk. Each pod has a guard of its own, so that one pod never delays or ends the
guard of another.

A pod without a kernel's bound is measured every second or, if that takes long, for a fifth of the time. A pod that
cannot be measured counts as too large.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from danube_pkg.adapters.runtimes.sandbox.disk_usage import written_directories
from danube_pkg.adapters.runtimes.sandbox.open_files import UnnamedFiles, unnamed_files
from danube_pkg.adapters.runtimes.sandbox.pod_disks import MARGIN_BYTES, PodDisks
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory
from danube_pkg.adapters.runtimes.sandbox.user_namespace import run_in_user_namespace
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded, Limits, PodEvent
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import end_all
from danube_pkg.kit.tree_sizes import TreeSize, measure_trees

LIMITED_CHECK_SECONDS = 0.2
"""Between two checks of a file system that the kernel limits: one system call. A program that removes what it could
not complete is at the limit for a moment only."""

PAUSE_FACTOR = 4
"""Between two measurements this many times as long as the last one took: trees of a million files do not use up a
processor."""

MEASURING_THREADS = 2
"""Measurements at a time. Python runs one at a time anyway; the second overlaps with reading the disk."""

MAX_PAUSE_SECONDS = 5.0
"""After a check that failed, which is a bug or a server without free descriptors."""

Answer = TypeVar("Answer")

_log = logging.getLogger("danube.sandbox")


class WorkspaceSizes:
    """pods: lists all pods. processes: those of a pod. userns_command: as in SandboxPods. publish: receives the end of
    each container, once. check_seconds: between two measurements."""

    def __init__(
        self,
        pods: Callable[[], Sequence[PodDirectory]],
        processes: Callable[[PodDirectory], Collection[int]],
        disks: PodDisks,
        userns_command: Sequence[str],
        check_seconds: float,
        publish: Callable[[PodEvent], None],
        timing: Timing,
    ) -> None:
        self._pods = pods
        self._processes = processes
        self._disks = disks
        self._userns_command = userns_command
        self._check_seconds = check_seconds
        self._publish = publish
        self._timing = timing
        self._guards: dict[str, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(MEASURING_THREADS, "disk usage")

    async def watch(self) -> None:
        """Runs until cancelled."""
        pauses = Pauses(self._check_seconds, MAX_PAUSE_SECONDS)
        try:
            await for_ever(self._guard_all, Streak("disk-watch", self._timing, pauses, log=_log), self._timing)
        finally:
            await end_all(*self._guards.values())
            self._guards.clear()

    def close(self) -> None:
        """Start no more measurements."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _guard_all(self) -> float:
        """Give each pod its guard."""
        pods = {pod.pod_id: pod for pod in self._pods()}
        gone = [self._guards.pop(pod_id) for pod_id in self._guards.keys() - pods.keys()]
        await end_all(*gone)
        for pod_id, pod in pods.items():
            if pod_id not in self._guards or self._guards[pod_id].done():
                name = f"disk of pod {pod_id}"
                self._guards[pod_id] = asyncio.get_running_loop().create_task(self._guard(pod), name=name)
        return self._check_seconds

    async def _guard(self, pod: PodDirectory) -> None:
        pauses = Pauses(self._check_seconds, MAX_PAUSE_SECONDS)
        streak = Streak("disk-check", self._timing, pauses, log=_log, fields={"pod": pod.pod_id})
        await for_ever(partial(self._check, pod), streak, self._timing)

    async def _check(self, pod: PodDirectory) -> float:
        began = self._timing.clock.monotonic()
        record = pod.read_pod()
        if record is not None and record.limits.workspace_bytes:
            cause = self._disks.excess(pod.path, record.limits)
            limited = cause is not None
            if cause is None:
                cause = await self._excess(pod, record.limits)
            if cause:
                self._end(pod, cause)
            if limited:
                return min(self._check_seconds, LIMITED_CHECK_SECONDS)
        return max(self._check_seconds, PAUSE_FACTOR * (self._timing.clock.monotonic() - began))

    def end_if_full(self, pod: PodDirectory) -> str:
        """End a pod whose disk the kernel limits and that is full, and return why; "" for any other pod."""
        record = pod.read_pod()
        cause = self._disks.excess(pod.path, record.limits) if record is not None else None
        if cause:
            self._end(pod, cause)
        return cause or ""

    async def _excess(self, pod: PodDirectory, limits: Limits) -> str:
        """Why a pod's disk is full, "" where it is not."""
        copied = pod.copied_bytes()
        used = await self._usage(pod, TreeSize(limits.workspace_bytes + copied, limits.workspace_inodes))
        size_bytes, limit = used.size_bytes - copied, limits.workspace_bytes
        if size_bytes >= limit - MARGIN_BYTES:
            return f"its workspace holds {size_bytes >> 20} MB, the limit is {limit >> 20} MB"
        if used.inodes >= limits.workspace_inodes:
            return f"its workspace has {used.inodes} files and directories, the limit is {limits.workspace_inodes}"
        if used.problem:
            return f"its workspace cannot be measured ({used.problem})"
        return ""

    async def _usage(self, pod: PodDirectory, most: TreeSize) -> TreeSize:
        """With the rights of all owners of its files if this process's do not suffice."""
        directories, processes = written_directories(pod), self._processes(pod)
        named = await self._in_thread(measure_trees, directories, most)
        if named.exceeds(most):
            return named
        if named.problem and self._userns_command:
            try:
                named = await self._named_usage(directories, most)
            except PlatformError as error:
                return replace(named, problem=f"{named.problem}; {error.cause}")
        unnamed = await self._unnamed_usage(pod, processes)
        return TreeSize(
            named.size_bytes + unnamed.size_bytes, named.inodes + unnamed.inodes, named.problem or unnamed.problem
        )

    async def _in_thread(self, work: Callable[..., Answer], *words: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *words))

    async def _unnamed_usage(self, pod: PodDirectory, processes: Collection[int]) -> TreeSize:
        """Files without a name. Processes of other users are read within the namespaces of the pod and of its legs."""
        found = await self._in_thread(unnamed_files, processes)
        record = pod.read_pod()
        if record is None or not record.full_ids:
            return replace(
                found, unreadable=()
            ).total  # they hide their memory, as the supervisor does: no way leads in
        for holder in (record.holder, *(leg.holder for leg in pod.leg_records())):
            if found.problem or not found.unreadable:
                break
            request = {"verb": "open-files", "within": holder.pid, "processes": found.unreadable}
            try:
                response = await run_in_user_namespace((), request)
            except PlatformError as error:
                if holder.lives():
                    return replace(found.total, problem=f"{found.total.problem}; {error.cause}")
                continue
            sizes = {(device, inode): size for device, inode, size in response["files"]}
            found = UnnamedFiles({**found.sizes, **sizes}, tuple(response["unreadable"]), response["problem"])
        return found.total

    async def _named_usage(self, directories: Sequence[Path], most: TreeSize) -> TreeSize:
        targets = [str(path) for path in directories]
        request = {"verb": "measure", "targets": targets, "most": [most.size_bytes, most.inodes]}
        response = await run_in_user_namespace(self._userns_command, request)
        return TreeSize(int(response["bytes"]), int(response["inodes"]), str(response["problem"]))

    def _end(self, pod: PodDirectory, cause: str) -> None:
        for known in pod.containers():
            if known.init.lives():
                self._publish(ContainerEnded(known.container, known.job_id, Reason.WORKSPACE_FULL, cause))
                known.init.kill()
