"""The limit of a pod's disk, where the file system has no quota: pods are measured every few seconds."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, directory_bytes
from danube_pkg.adapters.runtimes.sandbox.user_namespace import run_in_user_namespace
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import ContainerEnded, PodEvent

_log = logging.getLogger("danube.sandbox")


class WorkspaceSizes:
    """pods: lists all pods. userns_command: as in SandboxPods. publish: receives the end of each container."""

    def __init__(
        self,
        pods: Callable[[], Sequence[PodDirectory]],
        userns_command: Sequence[str],
        check_seconds: float,
        publish: Callable[[PodEvent], None],
    ) -> None:
        self._pods = pods
        self._userns_command = userns_command
        self._check_seconds = check_seconds
        self._publish = publish

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            await asyncio.sleep(self._check_seconds)
            for pod in self._pods():
                record = pod.read_pod()
                limit = record.limits.workspace_bytes if record is not None else 0
                if not limit:
                    continue
                used = await self._size_of(pod.path) - pod.copied_bytes()
                if used > limit:
                    self._end(pod, used, limit)

    async def _size_of(self, path: Path) -> int:
        """Bytes that a pod takes on disk, also in directories that the server's user cannot read."""
        used, whole = await asyncio.to_thread(directory_bytes, path)
        if whole or not self._userns_command:
            return used
        request = {"verb": "measure", "target": str(path)}
        try:
            return int((await run_in_user_namespace(self._userns_command, request))["bytes"])
        except PlatformError as error:
            _log.warning("size-not-known", extra={"fields": {"pod": path.name, "cause": str(error)}})
            return used

    def _end(self, pod: PodDirectory, used: int, limit: int) -> None:
        message = f"its workspace holds {used >> 20} MB, the limit is {limit >> 20} MB"
        for known in pod.containers():
            if known.init.lives():
                self._publish(ContainerEnded(known.container, known.job_id, Reason.WORKSPACE_FULL, message))
                known.init.kill()
