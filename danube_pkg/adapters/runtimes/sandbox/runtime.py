"""The embedded runtime: pods of Linux namespaces on one machine, without a daemon. See the package for its parts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from danube_pkg.adapters.runtimes.sandbox.container_roots import ContainerRoots
from danube_pkg.adapters.runtimes.sandbox.container_watch import ContainerWatch
from danube_pkg.adapters.runtimes.sandbox.containers import SandboxContainers
from danube_pkg.adapters.runtimes.sandbox.coordinator_sockets import CoordinatorSockets
from danube_pkg.adapters.runtimes.sandbox.exec_stream import PipeStream, open_exec
from danube_pkg.adapters.runtimes.sandbox.image_root import overlay_of
from danube_pkg.adapters.runtimes.sandbox.isolated_legs import IsolatedLegs
from danube_pkg.adapters.runtimes.sandbox.limits import PodLimits
from danube_pkg.adapters.runtimes.sandbox.memory_guard import MemoryGuard
from danube_pkg.adapters.runtimes.sandbox.pod_egress import PodEgress
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, PodRecord
from danube_pkg.adapters.runtimes.sandbox.pods import SandboxPods
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.adapters.runtimes.sandbox.workspace_sizes import WorkspaceSizes
from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.egress.ports import EgressProxies
from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.images.ports import Images
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    Container,
    ContainerEnded,
    ContainerFile,
    ContainerRole,
    Network,
    PodEvent,
    PodNotice,
    PodSpec,
    PodState,
)
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.directory_identity import identify
from danube_pkg.kit.full_disk import is_full, lacking
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import end_all

_log = EventLog("danube.sandbox")


class SandboxRuntime:
    """`core.runtimes.ports.Runtime` on this machine. The state is on disk; what is in memory only watches it.

    Everything is keyed by pod but the egress proxies, which are keyed by job: ledger, masks and steps belong to the
    job.
    """

    name = "sandbox"

    def __init__(self, settings: SandboxSettings, images: Images, proxies: EgressProxies) -> None:
        self.settings = settings
        data_id = identify(settings.data_dir).id
        self._limits = PodLimits(data_id)
        self._watch = ContainerWatch(self._limits.reason_of_end)
        self._locks: dict[str, asyncio.Lock] = {}
        self._pods = SandboxPods(settings, data_id, self._limits, self._watch)
        userns_command = self._pods.userns_command
        self.roots = ContainerRoots(images, settings.namespaces, userns_command)
        self._containers = SandboxContainers(settings, self._pods, self.roots, self._limits, self._watch, self._notify)
        self._sizes = WorkspaceSizes(
            self._pods.all,
            self._pods.processes,
            self._pods.disks,
            userns_command,
            settings.workspace_check_seconds,
            self._watch.publish,
            Timing(SystemClock()),
        )
        self._memory = MemoryGuard(self._pods.all, self._pods.processes, self._watch.publish, Timing(SystemClock()))
        self._egress = PodEgress(settings.namespaces, proxies, self._pods.running_legs)
        self._legs = IsolatedLegs(self._pods, self._containers, self._egress)
        self._sockets = CoordinatorSockets(settings.grpc_directory)

    def _lock(self, pod_id: str) -> asyncio.Lock:
        return self._locks.setdefault(pod_id, asyncio.Lock())

    def _notify(self, record: PodRecord, message: str) -> None:
        self._watch.publish(PodNotice(record.pod_id, record.job_id, message))

    @asynccontextmanager
    async def _full_disk_waits(self) -> AsyncIterator[None]:
        """What is made in this block is tried again when the disk has room."""
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            lacks = lacking(self.settings.data_dir)
            hint = f"free {lacks} on the file system of {self.settings.data_dir}; the job waits"
            raise StorageFull("disk-full", "there is no room for a pod", cause=f"no {lacks} left", hint=hint) from error

    # --- creating

    async def create_pod(self, spec: PodSpec) -> Container:
        async with self._lock(spec.pod_id), self._full_disk_waits():
            pod = self._pods.directory(spec.pod_id)
            record = pod.read_pod()
            if pod.path.exists() and (record is None or not record.holder.lives()):
                self._sockets.close_pod(pod.pod_id)
                await self._pods.remove(pod)  # also what an interrupted creation, or another directory's pod, has left
                self._egress.forget(pod.pod_id)
                record = None
            if record is None:
                record, unlimited = await self._pods.create(pod, spec)
                for notice in (self._limits.notice(spec.limits), _disk_notice(unlimited)):
                    if notice:
                        self._notify(record, notice)
                await self._egress.open(record)
            else:
                await self._egress.restore([record])
            await self._sockets.open(pod, spec.job_id)
            known = self._containers.running(pod, ContainerRole.COORDINATOR, HOST_IMAGE)
            return known or await self._containers.create_coordinator(pod, record, spec.token)

    async def ensure_container(
        self, pod_id: str, image: str, files: Sequence[ContainerFile] = (), isolation: int = 0
    ) -> Container:
        pod, held = self._pods.directory(pod_id), None
        async with self._lock(pod_id), self._full_disk_waits():
            record = self._pods.running_record(pod)
            if (known := self._containers.running(pod, ContainerRole.WORKER, image, isolation)) is not None:
                return known
            if image == HOST_IMAGE and not self.settings.host_image:
                raise _host_refused()
            if isolation:
                record = await self._legs.open(pod, record, isolation)
            if image == HOST_IMAGE:
                return await self._containers.create_worker(pod, record, image, held, files, isolation)
        # A pull may take minutes, in which the pod can be deleted: everything is checked again afterwards.
        held = await self.roots.hold(image, pod.path, record, partial(self._notify, record))
        async with self._lock(pod_id), self._full_disk_waits():
            record = self._pods.running_record(pod)
            if (known := self._containers.running(pod, ContainerRole.WORKER, image, isolation)) is not None:
                return known
            if isolation:
                record = await self._legs.open(pod, record, isolation)
            return await self._containers.create_worker(pod, record, image, held, files, isolation)

    # --- using

    async def exec(self, container: Container, argv: Sequence[str]) -> PipeStream:
        directory = self._pods.directory(container.pod_id).container(container.number)
        return open_exec(container, directory, argv)

    async def egress_enforced_by(self, pod_id: str) -> str:
        record = self._pods.directory(pod_id).read_pod()
        return EnforcedBy.UNKNOWN if record is None or record.network is Network.HOST else EnforcedBy.NO_ROUTE

    async def memory_kills(self, container: Container) -> int:
        return self._limits.memory_kills(container)

    async def image_digest(self, container: Container) -> str:
        known = self._pods.directory(container.pod_id).containers()
        return next((one.image_digest for one in known if one.container.number == container.number), "")

    def container_process(self, container: Container) -> int | None:
        """The process id, in this machine's numbering, of a running container's PID 1."""
        for known in self._pods.directory(container.pod_id).containers():
            if known.container == container and known.init.lives():
                return known.init.pid
        return None

    def holder_process(self, pod_id: str) -> int | None:
        """The process id of the process that holds a pod's namespaces."""
        record = self._pods.directory(pod_id).read_pod()
        return record.holder.pid if record is not None and record.holder.lives() else None

    async def overlay_problem(self, pod_id: str) -> str:
        """Why containers cannot share an image by overlays on this machine, tried in that pod; "" where they can."""
        pod = self._pods.directory(pod_id)
        directory = pod.path / "overlay"
        (directory / "image").mkdir(parents=True)
        record = self._pods.running_record(pod)
        return await self.roots.overlay_problem(overlay_of(directory, directory / "image", record.user_base), record)

    async def workspace_full(self, container: Container) -> str:
        return self._sizes.end_if_full(self._pods.directory(container.pod_id))

    async def list_pods(self) -> Sequence[PodState]:
        return [_state_of(pod) for pod in self._pods.all()]

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[PodEvent]]:
        async with self._watch.open() as events:
            for pod in self._pods.all():
                for known in pod.containers():
                    self._watch.add(known)
            await self._open_sockets()
            loop = asyncio.get_running_loop()
            guards = [loop.create_task(self._sizes.watch(), name="workspace sizes")]
            if not self._limits.limit_memory:
                guards.append(loop.create_task(self._memory.watch(), name="pod memory"))
            egress = loop.create_task(self._egress.keep(self._pods.running), name="pod egress")
            try:
                yield events
            finally:
                await end_all(*guards, egress)

    async def _open_sockets(self) -> None:
        """For the pods that a server before this one has made."""
        for record in self._pods.running():
            if record.is_closed:
                continue
            try:
                await self._sockets.open(self._pods.directory(record.pod_id), record.job_id)
            except OSError as error:  # its job ends at its deadline; the others must not
                _log.error("coordinator-socket-not-opened", pod=record.pod_id, cause=str(error))

    # --- removing

    async def end_container(self, container: Container, reason: Reason, message: str) -> None:
        job_id = next((known.job_id for known in self._pods.directory(container.pod_id).containers()), "")
        self._watch.publish(ContainerEnded(container, job_id, reason, message))
        await self._pods.end_container(container)

    async def close_network(self, pod_id: str) -> None:
        async with self._lock(pod_id):
            pod = self._pods.directory(pod_id)
            record = self._pods.running_record(pod)
            if record.host_network:
                what = f"pod {pod_id} has the network of the machine"
                raise Permanent("network-not-closed", what, hint="an allowlist gives a pod a network of its own")
            self._sockets.close_pod(pod_id)
            pod.write_pod(replace(record, network=Network.NONE, is_closed=True))
            await self._egress.withdraw(record)

    async def delete_pod(self, pod_id: str) -> None:
        async with self._lock(pod_id):
            self._sockets.close_pod(pod_id)
            await self._pods.remove(self._pods.directory(pod_id))
            self._egress.forget(pod_id)
        self._locks.pop(pod_id, None)

    async def conditions(self) -> Sequence[Condition]:
        """Pods whose files cannot be removed; the removal is tried again and again, and the files take space."""
        left = self._pods.not_removed.values()
        return [Condition(error.reference, str(error), error.hint) for error in left]

    async def close(self) -> None:
        self._watch.close()
        self._sizes.close()
        self._memory.close()
        await self._sockets.close()


def _state_of(pod: PodDirectory) -> PodState:
    record = pod.read_pod()
    running = tuple(known.container for known in pod.containers() if known.init.lives())
    complete = any(container.role is ContainerRole.COORDINATOR for container in running)
    return PodState(pod.pod_id, record.job_id if record is not None else "", running, complete)


def _host_refused() -> Permanent:
    return Permanent(
        Reason.HOST_IMAGE_REFUSED,
        "this server does not lend its own programs to jobs",
        cause='[images] host = "refuse" in danube.toml',
        hint="load an image and name it in the pipeline: danube image load FILE, image: NAME; or write [images] host = "
        '"allow" and restart the server',
    )


def _disk_notice(unlimited: str) -> str:
    return (
        f"limits: the pod's disk is measured every second and not limited by the kernel: {unlimited}"
        if unlimited
        else ""
    )
