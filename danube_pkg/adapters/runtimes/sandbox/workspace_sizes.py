"""The bound of a pod's disk, where the file system has no quota: looked at every few seconds, and the pod ended beyond it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.inside import ask_inside
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, directory_bytes
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded, PodEvent

_log = logging.getLogger("danube.sandbox")


class WorkspaceSizes:
    """pods: the directory of all. within: words before a command that can look into every directory of a pod. publish: told of
    each container that is ended."""

    def __init__(
        self, pods: Path, within: Sequence[str], check_seconds: float, publish: Callable[[PodEvent], None]
    ) -> None:
        self._pods = pods
        self._within = within
        self._check_seconds = check_seconds
        self._publish = publish

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._check_seconds)
            for path in sorted(self._pods.iterdir()):
                pod = PodDirectory(self._pods, path.name)
                record = pod.read_pod()
                bound = record.limits.workspace_bytes if record is not None else 0
                if not bound:
                    continue
                used = await self._size_of(path) - pod.copied_bytes()
                if used > bound:
                    self._end(pod, used, bound)

    async def _size_of(self, path: Path) -> int:
        """What a pod takes on disk, also in directories that are closed to whom the server runs as."""
        used, whole = await asyncio.to_thread(directory_bytes, path)
        if whole or not self._within:
            return used
        try:
            return int((await ask_inside(self._within, {"verb": "measure", "target": str(path)}))["bytes"])
        except PlatformError as error:
            _log.warning("size-not-known", extra={"fields": {"pod": path.name, "cause": str(error)}})
            return used

    def _end(self, pod: PodDirectory, used: int, bound: int) -> None:
        message = f"its workspace holds {used >> 20} MB, the bound is {bound >> 20} MB"
        for known in pod.containers():
            if known.init.lives():
                self._publish(ContainerEnded(known.container, known.job_id, Reason.WORKSPACE_FULL, message))
                known.init.kill()
