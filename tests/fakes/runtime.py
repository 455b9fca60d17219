"""The fake of `core.runtimes.ports.Runtime`, over a fake machine that outlives it: a second runtime on the same
machine is that of a restarted server.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256

from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    Container,
    ContainerFile,
    ContainerRole,
    PodEvent,
    PodSpec,
    PodState,
)
from tests.fakes.connections import Boundary, Connection
from tests.fakes.machine import FakeMachine


def fake_digest(image: str) -> str:
    """The digest of each image of that name."""
    return "" if image == HOST_IMAGE else f"sha256:{sha256(image.encode()).hexdigest()}"


class FakeRuntime:
    """Crosses the boundary before and after each change of the machine, so that a kill can happen on either side."""

    name = "fake"

    def __init__(self, machine: FakeMachine, boundary: Boundary | None = None) -> None:
        self.machine = machine
        self._boundary = boundary or Boundary()
        self._locks: dict[str, asyncio.Lock] = {}
        self._connections: list[Connection] = []

    async def create_pod(self, spec: PodSpec) -> Container:
        async with self._locks.setdefault(spec.pod_id, asyncio.Lock()):
            await self._boundary.cross("create-pod.begin")
            pod = self.machine.pods.get(spec.pod_id)
            if pod is not None and not pod.lives:
                self.machine.delete_pod(spec.pod_id)
            pod = self.machine.begin_pod(spec)
            await self._boundary.cross("create-pod.half")
            container = next(
                (
                    known.container
                    for known in pod.containers
                    if known.lives and known.container.role is ContainerRole.COORDINATOR
                ),
                None,
            ) or self.machine.add_container(pod, ContainerRole.COORDINATOR, HOST_IMAGE)
            await self._boundary.cross("create-pod.end")
            return container

    async def ensure_container(
        self, pod_id: str, image: str, files: Sequence[ContainerFile] = (), isolation: int = 0
    ) -> Container:
        async with self._locks.setdefault(pod_id, asyncio.Lock()):
            await self._boundary.cross("ensure-container.begin")
            pod = self.machine.pods.get(pod_id)
            if pod is None or not pod.lives:
                raise Permanent("pod-lost", f"pod {pod_id} has ended or was removed")
            wanted = (ContainerRole.WORKER, image, isolation)
            for known in self.machine.living(pod_id):
                if (known.container.role, known.container.image, known.isolation) == wanted:
                    return known.container
            if image not in self.machine.images:
                raise Permanent(
                    "image-pull-failed",
                    f"image {image!r} cannot be had",
                    hint=f"use one of {sorted(self.machine.images)}",
                )
            container = self.machine.add_container(pod, ContainerRole.WORKER, image, isolation)
            await self._boundary.cross("ensure-container.end")
            return container

    async def exec(self, container: Container, argv: Sequence[str]) -> Connection:
        await self._boundary.cross("exec.begin")
        found = self.machine.find_container(container)
        if found is None:
            raise NotFound("container-gone", f"container {container.number} of pod {container.pod_id} has ended")
        connection = Connection(self._boundary)
        self._connections = [known for known in self._connections if known.is_read]
        self._connections.append(connection)
        found.exec(argv, connection)
        return connection

    async def egress_enforced_by(self, pod_id: str) -> str:
        return EnforcedBy.NO_ROUTE

    async def memory_kills(self, container: Container) -> int:
        await self._boundary.cross("memory-kills")
        pod = self.machine.pods.get(container.pod_id)
        known = pod.containers if pod is not None else ()
        return sum(one.memory_kills for one in known if one.container.number == container.number)

    async def image_digest(self, container: Container) -> str:
        return fake_digest(container.image)

    async def end_container(self, container: Container, reason: Reason, message: str) -> None:
        await self._boundary.cross("end-container")
        if (found := self.machine.find_container(container)) is not None:
            found.end(reason, message)

    async def workspace_full(self, container: Container) -> str:
        pod = self.machine.pods.get(container.pod_id)
        return pod.workspace_full if pod is not None else ""

    async def close_network(self, pod_id: str) -> None:
        async with self._locks.setdefault(pod_id, asyncio.Lock()):
            await self._boundary.cross("close-network")
            pod = self.machine.pods.get(pod_id)
            if pod is None or not pod.lives:
                raise Permanent("pod-lost", f"pod {pod_id} has ended or was removed")
            if self.machine.keeps_networks_open:
                raise Permanent("network-not-closed", "this machine closes no network of a pod")
            pod.is_closed = True

    async def delete_pod(self, pod_id: str) -> None:
        async with self._locks.setdefault(pod_id, asyncio.Lock()):
            await self._boundary.cross("delete-pod.begin")
            self.machine.delete_pod(pod_id)
            await self._boundary.cross("delete-pod.end")
        self._locks.pop(pod_id, None)

    async def list_pods(self) -> Sequence[PodState]:
        await self._boundary.cross("list-pods")
        return [self._state(pod_id) for pod_id in self.machine.pods]

    def _state(self, pod_id: str) -> PodState:
        living = tuple(known.container for known in self.machine.living(pod_id))
        job_id = self.machine.pods[pod_id].spec.job_id
        return PodState(pod_id, job_id, living, complete=any(one.role is ContainerRole.COORDINATOR for one in living))

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[PodEvent]]:
        queue: asyncio.Queue[PodEvent] = asyncio.Queue()
        for pod in self.machine.pods.values():
            for known in pod.containers:
                if known.end_event is not None:
                    queue.put_nowait(known.end_event)
        self.machine.listeners.append(queue.put_nowait)
        try:
            yield self._events(queue)
        finally:
            self.machine.listeners.remove(queue.put_nowait)

    async def _events(self, queue: "asyncio.Queue[PodEvent]") -> AsyncIterator[PodEvent]:
        while True:
            event = await queue.get()
            await self._boundary.cross("watch.event")
            yield event

    async def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        """The server is killed: its ends of all pipes close, and nothing else happens."""
        for connection in self._connections:
            connection.drop()
        self._connections.clear()
