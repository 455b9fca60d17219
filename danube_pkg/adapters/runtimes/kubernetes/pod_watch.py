"""Watches the pods of one data directory: one list and one watch for each namespace, whatever number of jobs runs.

The watch continues from the last version that it has seen, bookmarks included; where the cluster has dropped that
version (410) it lists again. What it knows is `PodStatus`, not the objects: a tenth of their memory.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from danube_pkg.adapters.runtimes.kubernetes.api import Body, ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.api_errors import VersionGone
from danube_pkg.adapters.runtimes.kubernetes.names import selector
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, read_pod
from danube_pkg.core.errors import Permanent, PlatformError, Retryable, Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import TaskOwner, logged

Found = TypeVar("Found")

PAUSES = Pauses(0.1, 10.0)
SYNC_SECONDS = 60.0
"""For the first list. A cluster that does not answer in it is not reachable."""

MAX_GONE = 1000
"""Pods whose end was known before their last events came; those come within seconds."""

_log = EventLog("danube.kubernetes")

Listener = Callable[[PodStatus], None]


class PodWatch:
    """The pods as last reported. `listen` gets each change, `removed` each deletion of an object."""

    def __init__(self, api: ClusterApi, instance: str, namespaces: tuple[str, ...]) -> None:
        self._api = api
        self._selector = selector(instance)
        self._namespaces = namespaces
        self._pods: dict[str, PodStatus] = {}
        self._synced: dict[str, asyncio.Event] = {name: asyncio.Event() for name in namespaces}
        self._changed = asyncio.Event()
        self._gone: dict[str, None] = {}
        self._owner: TaskOwner | None = None
        self._listeners: list[Listener] = []
        self.problem: PlatformError | None = None
        """Why the pods are not known now; None while a watch is open."""
        self.relists = 0
        """How often a list was needed: 1 for each namespace, and one for each gap."""

    def start(self) -> None:
        """Begin to watch, once."""
        if self._owner is not None:
            return
        self._owner = TaskOwner(logged(_log.logger))
        for name in self._namespaces:
            self._owner.start(f"pods of namespace {name}", self._keep(name))

    async def synced(self) -> None:
        """Returns when the pods of all namespaces are known. Raises Unavailable."""
        self.start()
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for event in self._synced.values():
                    await event.wait()
        except TimeoutError as error:
            what, cause = "the cluster has not listed its pods in time", str(self.problem or "")
            raise Unavailable("cluster-unreachable", what, cause=cause, hint="kubectl cluster-info") from error

    @property
    def pods(self) -> Mapping[str, PodStatus]:
        """By pod id."""
        return self._pods

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener with each new status; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def seen(self, pod: Body) -> PodStatus:
        """A status that a request has returned, where the watch has none of that object yet."""
        status = read_pod(pod)
        known = self._pods.get(status.pod_id)
        if known is None or known.uid != status.uid:
            self._apply(status)
        return status

    async def wait(self, condition: Callable[[], Found | None], seconds: float) -> Found | None:
        """What the condition returns, which is tried after each change; None after that time."""
        self.start()
        end = time.monotonic() + seconds
        while True:
            changed = self._changed
            if (found := condition()) is not None:
                return found
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    await changed.wait()
            except TimeoutError:
                return condition()

    async def _keep(self, namespace: str) -> None:
        timing = Timing(SystemClock())
        streak = Streak("pod-watch", timing, PAUSES, log=_log.logger, fields={"namespace": namespace})
        version = ""

        async def follow() -> float:
            nonlocal version
            try:
                if not version:
                    version = await self._list(namespace)
                path = f"/api/v1/namespaces/{namespace}/pods"
                async with self._api.watch(path, self._selector, version) as events:
                    self.problem = None
                    async for event in events:
                        version = self._take(event) or version
                        streak.succeeded()
            except VersionGone:
                version = ""
            except (Retryable, Permanent) as error:
                self.problem = error
                raise
            return 0.0 if version else PAUSES.first

        await for_ever(follow, streak, timing, expected=(Retryable, Permanent))

    async def _list(self, namespace: str) -> str:
        found, version = await self._api.list_all(f"/api/v1/namespaces/{namespace}/pods", self._selector)
        self.relists += 1
        now = {status.pod_id: status for status in map(read_pod, found)}
        for pod_id in [one for one, known in self._pods.items() if known.namespace == namespace and one not in now]:
            self._drop(self._pods[pod_id])
        for status in now.values():
            self._apply(status)
        self._synced[namespace].set()
        return version

    def _take(self, event: Body) -> str:
        """The version up to which everything is known after this event."""
        pod = event["object"]
        if event["type"] in ("ADDED", "MODIFIED"):
            self._apply(read_pod(pod))
        elif event["type"] == "DELETED":
            self._drop(read_pod(pod))
        return str(pod.get("metadata", {}).get("resourceVersion", ""))

    def _apply(self, status: PodStatus) -> None:
        if status.uid in self._gone:
            return
        self._pods[status.pod_id] = status
        self._notify(status)
        self._wake()

    def _notify(self, status: PodStatus) -> None:
        for listener in list(self._listeners):
            listener(status)

    def _drop(self, status: PodStatus) -> None:
        """The object is gone. Its containers have ended with it, also where others have removed it."""
        known = self._pods.get(status.pod_id)
        if known is not None and known.uid == status.uid:
            del self._pods[status.pod_id]
            cause = status.cause or known.cause or (Reason.POD_LOST, "its pod was deleted without Danube")
            self._notify(replace(status, phase="Failed", cause=cause))
        self._wake()

    def forget(self, pod_id: str) -> None:
        """A pod whose object a request has shown to be gone."""
        if (known := self._pods.get(pod_id)) is not None:
            self._gone[known.uid] = None
            while len(self._gone) > MAX_GONE:
                del self._gone[next(iter(self._gone))]
            self._drop(known)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """End the watches."""
        if self._owner is not None:
            await self._owner.close()
