"""The embedded runtime: pods of Linux namespaces on one machine, without a daemon. See the package for its parts."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import (
    UNPRIVILEGED_USER,
    ContainerPlan,
    Mount,
    prepare_root,
    scratch_mounts,
)
from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.container_roots import ContainerRoot, ContainerRoots, HeldImage
from danube_pkg.adapters.runtimes.sandbox.exec_stream import PipeStream, open_exec
from danube_pkg.adapters.runtimes.sandbox.host_image import host_root
from danube_pkg.adapters.runtimes.sandbox.id_maps import IDS_OF_A_POD, IdMap, map_of_pod, map_of_user
from danube_pkg.adapters.runtimes.sandbox.image_root import overlay_of
from danube_pkg.adapters.runtimes.sandbox.launch import (
    FIRST_POD_USER,
    MAX_PODS,
    has_ids_for_pods,
    start_container,
    start_holder,
)
from danube_pkg.adapters.runtimes.sandbox.pod_files import (
    ContainerRecord,
    PodDirectory,
    PodRecord,
    ProcessMark,
)
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.adapters.runtimes.sandbox.watching import Watcher
from danube_pkg.adapters.runtimes.sandbox.ways_out import WaysOut
from danube_pkg.adapters.runtimes.sandbox.workspace_sizes import WorkspaceSizes
from danube_pkg.core.egress.policy import proxy_environment
from danube_pkg.core.egress.ports import EgressProxies
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.images.ports import Images
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    Container,
    ContainerRole,
    Limits,
    Network,
    PodEvent,
    PodNotice,
    PodSpec,
    PodState,
)
from danube_pkg.kit.tasks import end_all

SUPERVISOR_PLACE = "/.danube/danube-step"
_log = logging.getLogger("danube.sandbox")


class SandboxRuntime:
    """`core.runtimes.ports.Runtime` on this machine. The state is on disk; what is in memory only watches it."""

    name = "sandbox"

    def __init__(
        self, settings: SandboxSettings, images: Images | None = None, proxies: EgressProxies | None = None
    ) -> None:
        self.settings = settings
        self._pods = settings.data_dir / "pods"
        self._pods.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._cgroups = find_cgroups()
        self._watcher = Watcher(self._reason_of)
        self._locks: dict[str, asyncio.Lock] = {}
        self._privileged = has_ids_for_pods()
        self._own_ids = IdMap("", "") if self._privileged else map_of_user(settings.namespaces)
        self._within = (
            () if self._privileged or not self._own_ids.is_full else self._own_ids.within(settings.namespaces)
        )
        self.roots = ContainerRoots(images, settings.namespaces, self._within)
        self._sizes = WorkspaceSizes(self._pods, self._within, settings.workspace_check_seconds, self._watcher.publish)
        self._ways_out = WaysOut(settings.namespaces, proxies)

    def _pod(self, pod_id: str) -> PodDirectory:
        return PodDirectory(self._pods, pod_id)

    def _lock(self, pod_id: str) -> asyncio.Lock:
        return self._locks.setdefault(pod_id, asyncio.Lock())

    # --- making

    async def create_pod(self, spec: PodSpec) -> Container:
        async with self._lock(spec.pod_id):
            pod = self._pod(spec.pod_id)
            record = pod.read_pod()
            if record is not None and not record.holder.lives():
                await self._delete(pod)
                record = None
            if record is None:
                record = await self._make_pod(pod, spec)
                await self._ways_out.open(record)
            else:
                await self._ways_out.restore([record])
            for known in pod.containers():
                if known.container.role is ContainerRole.COORDINATOR and known.init.lives():
                    self._watcher.add(known)
                    return known.container
            coordinator = Container(spec.pod_id, 0, ContainerRole.COORDINATOR, HOST_IMAGE)
            return await self._make_container(
                pod, record, coordinator, self._coordinator_mounts(pod, record, spec.token)
            )

    async def _make_pod(self, pod: PodDirectory, spec: PodSpec) -> PodRecord:
        pod.path.mkdir(mode=0o700, exist_ok=True)
        user_base = self._free_user_base() if self._privileged else 0
        ids = map_of_pod(user_base) if user_base else self._own_ids
        pod.workspace.mkdir(exist_ok=True)
        pod.workspace.chmod(0o777)  # images run as other users too; nobody else comes through the directories above
        if user_base:
            os.chown(pod.workspace, user_base, user_base)
        made: list[PodRecord] = []

        def write_down(holder: ProcessMark) -> None:
            made.append(
                PodRecord(
                    spec.pod_id, spec.job_id, holder, user_base, spec.network, spec.allowlist, spec.limits, ids.is_full
                )
            )
            pod.write_pod(made[0])

        await start_holder(
            self.settings.namespaces,
            write_down,
            ids,
            user_base=user_base,
            host_network=spec.network is Network.HOST,
            cgroup_files=self._cgroups.make(spec.pod_id, "holder", spec.limits),
            log=pod.path / "holder.log",
        )
        if not self._cgroups.hierarchies:
            memory = f"memory of each process {spec.limits.memory_bytes >> 20} MB, " if spec.limits.memory_bytes else ""
            self._tell(made[0], f"limits: {memory}no control groups without root, so no memory bound for the whole pod")
        return made[0]

    def _free_user_base(self) -> int:
        taken = set()
        for path in self._pods.iterdir():
            record = self._pod(path.name).read_pod()
            if record is not None:
                taken.add(record.user_base)
        for slot in range(MAX_PODS):
            base = FIRST_POD_USER + slot * IDS_OF_A_POD
            if base not in taken:
                return base
        raise Unavailable("too-many-pods", f"{MAX_PODS} pods exist", hint="lower max_concurrent_jobs")

    def _coordinator_mounts(self, pod: PodDirectory, record: PodRecord, token: str) -> list[Mount]:
        directory = pod.container(0)
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "token"
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(token)
            if record.user_base:
                os.fchown(descriptor, record.user_base, record.user_base)
        mounts = [Mount(file, "/.danube/token"), Mount(self.settings.grpc_directory, "/.danube/run")]
        return [*mounts, *(Mount(source, place) for source, place in self.settings.program.mounts)]

    async def ensure_container(self, pod_id: str, image: str) -> Container:
        pod, held = self._pod(pod_id), None
        async with self._lock(pod_id):
            record = self._record_of_living(pod)
            if (known := self._living_worker(pod, image)) is not None:
                return known
            if image == HOST_IMAGE:
                return await self._make_worker(pod, record, image, held)
        # An image may take minutes to come. The pod can be deleted meanwhile, so all of it is looked at again afterwards.
        held = await self.roots.hold(image, pod.path, partial(self._tell, record))
        async with self._lock(pod_id):
            record = self._record_of_living(pod)
            if (known := self._living_worker(pod, image)) is not None:
                return known
            return await self._make_worker(pod, record, image, held)

    def _record_of_living(self, pod: PodDirectory) -> PodRecord:
        record = pod.read_pod()
        if record is None or not record.holder.lives():
            raise Permanent("pod-lost", f"pod {pod.pod_id} has ended or was removed")
        return record

    def _living_worker(self, pod: PodDirectory, image: str) -> Container | None:
        for known in pod.containers():
            same = known.container.role is ContainerRole.WORKER and known.container.image == image
            if same and known.init.lives():
                self._watcher.add(known)
                return known.container
        return None

    async def _make_worker(self, pod: PodDirectory, record: PodRecord, image: str, held: HeldImage | None) -> Container:
        number = max([0, *pod.numbers()]) + 1
        return await self._make_container(
            pod, record, Container(pod.pod_id, number, ContainerRole.WORKER, image), [], held
        )

    def _tell(self, record: PodRecord, message: str) -> None:
        self._watcher.publish(PodNotice(record.pod_id, record.job_id, message))

    async def _make_container(
        self,
        pod: PodDirectory,
        record: PodRecord,
        container: Container,
        extra: Sequence[Mount],
        held: HeldImage | None = None,
    ) -> Container:
        """held: the image; None for the machine's own programs."""
        directory = pod.container(container.number)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        prepare_root(directory, record.user_base)
        settings = self.settings
        supervisor = await asyncio.to_thread(self._supervisor_copy)
        coordinator = container.role is ContainerRole.COORDINATOR
        mounts = [
            Mount(supervisor, SUPERVISOR_PLACE),
            Mount(pod.workspace, "/workspace", writable=True),
            *(scratch_mounts(directory) if held is None else ()),
            *extra,
        ]
        if held is None:
            user = 0 if record.full_ids else UNPRIVILEGED_USER
            own = host_root(
                settings.python_prefix, settings.extra_host_paths, user=user, host_network=record.host_network
            )
            root = ContainerRoot(own)
        else:
            tell = partial(self._tell, record)
            if not record.full_ids:
                tell(f"ids: {self._own_ids.problem}, so images have one user, who is not root; {self._own_ids.hint}")
            root = await self.roots.make(held, pod, record, container.number, mounts, tell)
        plan = ContainerPlan(
            root=directory / "root",
            image=root.files,
            mounts=mounts,
            environment=(
                *(proxy_environment(None).items() if record.network.through_proxy else ()),
                *(settings.program.environment.items() if coordinator else ()),
            ),
            full_id_map=record.full_ids,
            staged=record.user_base != 0,
            command=(SUPERVISOR_PLACE,),
            overlay=root.overlay,
            working_directory=root.working_directory,
            user=root.user,
        )

        def write_down(init: ProcessMark) -> None:
            known = ContainerRecord(container, record.job_id, init)
            pod.write_container(known)
            self._watcher.add(known)

        await start_container(
            settings.namespaces,
            record.holder,
            plan,
            directory,
            write_down,
            host_network=record.host_network,
            cgroup_files=self._cgroups.make(container.pod_id, str(container.number), record.limits),
            rlimits=self._rlimits(record.limits),
            heartbeat_seconds=settings.heartbeat_seconds,
        )
        return container

    def _rlimits(self, limits: Limits) -> list[str]:
        """Bounds of each process, where control groups cannot bound the pod. The number of processes is one of the pod all
        the same: since Linux 5.14 it is counted for each user namespace, and the pod's containers share one."""
        found = ["core=0"]
        if not self._cgroups.hierarchies:
            found += [f"as={limits.memory_bytes}"] if limits.memory_bytes else []
            found += [f"nproc={limits.processes}"] if limits.processes else []
        return found

    def _supervisor_copy(self) -> Path:
        """A copy that may be executed and not read; a program stays while a pod uses it, so its name has its size and time."""
        source = self.settings.supervisor.stat()
        copy = self.settings.data_dir / "run" / f"danube-step-{source.st_mtime_ns:x}"
        if not copy.exists():
            temporary = copy.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            shutil.copyfile(self.settings.supervisor, temporary)
            temporary.chmod(0o111)
            os.replace(temporary, copy)
        return copy

    # --- using

    async def exec(self, container: Container, argv: Sequence[str]) -> PipeStream:
        directory = self._pod(container.pod_id).container(container.number)
        return open_exec(container, directory, argv)

    async def memory_kills(self, container: Container) -> int:
        return self._cgroups.memory_kills(container.pod_id, container.number)

    def container_process(self, container: Container) -> int | None:
        """The process id of a living container's PID 1 as this machine counts."""
        for known in self._pod(container.pod_id).containers():
            if known.container == container and known.init.lives():
                return known.init.pid
        return None

    def holder_process(self, pod_id: str) -> int | None:
        """The same of the process that holds a pod's namespaces."""
        record = self._pod(pod_id).read_pod()
        return record.holder.pid if record is not None and record.holder.lives() else None

    async def overlay_problem(self, pod_id: str) -> str:
        """What this machine has against containers that share an image, tried in that pod; "" where they can."""
        pod = self._pod(pod_id)
        directory = pod.path / "overlay"
        (directory / "image").mkdir(parents=True)
        record = self._record_of_living(pod)
        return await self.roots.why_no_overlay(overlay_of(directory, directory / "image", record.user_base), record)

    async def list_pods(self) -> Sequence[PodState]:
        return [self._state(self._pod(path.name)) for path in sorted(self._pods.iterdir()) if path.is_dir()]

    def _state(self, pod: PodDirectory) -> PodState:
        record = pod.read_pod()
        job_id = record.job_id if record is not None else ""
        living = tuple(known.container for known in pod.containers() if known.init.lives())
        return PodState(pod.pod_id, job_id, living, complete=any(c.role is ContainerRole.COORDINATOR for c in living))

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[PodEvent]]:
        async with self._watcher.open() as events:
            for path in sorted(self._pods.iterdir()):
                for known in self._pod(path.name).containers():
                    self._watcher.add(known)
            loop = asyncio.get_running_loop()
            sizes = loop.create_task(self._sizes.watch(), name="workspace sizes")
            ways_out = loop.create_task(self._ways_out.keep(self._living), name="ways out")
            try:
                yield events
            finally:
                await end_all(sizes, ways_out)

    def _living(self) -> list[PodRecord]:
        records = [self._pod(path.name).read_pod() for path in sorted(self._pods.iterdir())]
        return [record for record in records if record is not None and record.holder.lives()]

    def _reason_of(self, container: Container) -> tuple[Reason, str]:
        if self._cgroups.memory_kills(container.pod_id, container.number) > 0:
            return Reason.OUT_OF_MEMORY, "the kernel ended its container for memory"
        return Reason.POD_LOST, "its container ended; something killed it from outside"

    # --- removing

    async def delete_pod(self, pod_id: str) -> None:
        async with self._lock(pod_id):
            await self._delete(self._pod(pod_id))
        self._locks.pop(pod_id, None)

    async def _delete(self, pod: PodDirectory) -> None:
        self._watcher.forget(pod.pod_id)
        record = pod.read_pod()
        marks = [*(known.init for known in pod.containers()), *([record.holder] if record is not None else [])]
        await self._end(marks)
        while stragglers := [mark for pid in self._cgroups.processes(pod.pod_id) if (mark := ProcessMark.of(pid))]:
            await self._end(stragglers)
        self._cgroups.remove(pod.pod_id)
        await asyncio.to_thread(pod.remove, self._within)

    async def _end(self, marks: Sequence[ProcessMark]) -> None:
        """Kill these processes; a namespace's first one takes all others of it along."""
        for mark in marks:
            mark.kill()
        for mark in marks:
            await self._watcher.wait_gone(mark)

    async def close(self) -> None:
        self._watcher.close()
