"""Creates the containers of a pod: their root, what is mounted into it, and PID 1 in the pod's namespaces."""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import (
    UNPRIVILEGED_USER,
    ContainerPlan,
    Mount,
    prepare_root,
    scratch_mounts,
)
from danube_pkg.adapters.runtimes.sandbox.container_roots import ContainerRoot, ContainerRoots, HeldImage
from danube_pkg.adapters.runtimes.sandbox.container_watch import ContainerWatch
from danube_pkg.adapters.runtimes.sandbox.host_image import host_root
from danube_pkg.adapters.runtimes.sandbox.launch import start_container
from danube_pkg.adapters.runtimes.sandbox.limits import PodLimits
from danube_pkg.adapters.runtimes.sandbox.machine_memory import shared_memory_of
from danube_pkg.adapters.runtimes.sandbox.mount_points import WORKSPACE
from danube_pkg.adapters.runtimes.sandbox.pod_files import ContainerRecord, PodDirectory, PodRecord, ProcessMark
from danube_pkg.adapters.runtimes.sandbox.pods import SandboxPods, write_secret
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.adapters.runtimes.sandbox.workspace_owners import OWN_UMASK, SHARED_UMASK, exchange, give
from danube_pkg.core.egress.policy import proxy_environment
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, ContainerFile, ContainerRole
from danube_pkg.kit.records import replace

SUPERVISOR_PATH = "/.danube/danube-step"
"""Where the supervisor is mounted in every container."""

PROCESSORS = Path("/sys/devices/system/cpu")
"""All of /sys that containers show beside their control groups: it says no more than /proc/cpuinfo."""

LEGS = "/.danube/legs"
"""Where the coordinator reads the workspaces of isolated legs."""

COPIER, COPY_SOURCE = "copy of the workspace", "/.danube/workspace"
"""The container that copies the pod's workspace for a leg, in the place of an image's name, and what it reads."""

NOT_STARTED = ProcessMark(0, 0)

SHARED_NOTICE = (
    "workspace: files cannot be shown with other owners on this machine, so that the image's user writes to it by its"
    " group, with the umask 002"
)

Notify = Callable[[PodRecord, str], None]
"""Publishes a line for the log of a pod's job."""


class SandboxContainers:
    """Creates containers in pods that run."""

    def __init__(
        self,
        settings: SandboxSettings,
        pods: SandboxPods,
        roots: ContainerRoots,
        limits: PodLimits,
        watch: ContainerWatch,
        notify: Notify,
    ) -> None:
        self._settings = settings
        self._pods = pods
        self._roots = roots
        self._limits = limits
        self._watch = watch
        self._notify = notify

    def running(self, pod: PodDirectory, role: ContainerRole, image: str, isolation: int = 0) -> Container | None:
        """The running container of that role and image, watched from now on."""
        wanted = (role, image, isolation)
        for known in pod.containers():
            if (known.container.role, known.container.image, known.isolation) == wanted and known.init.lives():
                self._watch.add(known)
                return known.container
        return None

    async def create_coordinator(self, pod: PodDirectory, record: PodRecord, token: str) -> Container:
        """The coordinator's container, with its program, its token and the server's socket."""
        container = Container(pod.pod_id, 0, ContainerRole.COORDINATOR, HOST_IMAGE)
        directory = await self._make_directory(pod, record, container)
        mounts = [
            Mount(write_secret(directory, "token", token), "/.danube/token"),
            Mount(pod.sockets, "/.danube/run"),
            Mount(pod.legs, LEGS),
            *(Mount(source, target) for source, target in self._settings.program.mounts),
        ]
        pod.legs.mkdir(exist_ok=True)
        environment = (*self._settings.program.environment.items(), ("DANUBE_LEGS", LEGS))
        return await self._create(pod, record, container, mounts, environment, None)

    async def create_worker(
        self,
        pod: PodDirectory,
        record: PodRecord,
        image: str,
        held: HeldImage | None,
        files: Sequence[ContainerFile] = (),
        isolation: int = 0,
    ) -> Container:
        """A new worker. held: the image; None for the machine's own programs. files: mounted into it alone. isolation:
        the number of the isolated leg that it belongs to, as which record shows the pod; 0 for none."""
        container = Container(pod.pod_id, max([0, *pod.numbers()]) + 1, ContainerRole.WORKER, image)
        directory = await self._make_directory(pod, record, container)
        mounts = [
            Mount(write_secret(directory, f"file-{number}", one.content), one.path) for number, one in enumerate(files)
        ]
        return await self._create(pod, record, container, mounts, (), held, isolation)

    async def create_copier(self, pod: PodDirectory, record: PodRecord, isolation: int) -> Container:
        """A container of the machine's own programs in which the pod's workspace can be copied to a leg's. No step gets
        it: its image is none."""
        container = Container(pod.pod_id, max([0, *pod.numbers()]) + 1, ContainerRole.WORKER, COPIER)
        await self._make_directory(pod, record, container)
        source = Mount(pod.workspace, COPY_SOURCE)
        return await self._create(pod, record, container, [source], (), None, isolation)

    async def _make_directory(self, pod: PodDirectory, record: PodRecord, container: Container) -> Path:
        directory = pod.container(container.number)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        prepare_root(directory, record.user_base)
        if (user := _user_of_host(record, container)) and container.image == HOST_IMAGE:
            await give(directory / "home", user, record.user_base, self._pods.chown_command)
        return directory

    async def _create(
        self,
        pod: PodDirectory,
        record: PodRecord,
        container: Container,
        own_mounts: Sequence[Mount],
        own_environment: Sequence[tuple[str, str]],
        held: HeldImage | None,
        isolation: int = 0,
    ) -> Container:
        """own_mounts, own_environment: what this container has and others of the pod have not."""
        directory = pod.container(container.number)
        supervisor = await asyncio.to_thread(self._supervisor_copy)
        workspace = Mount(pod.legs / str(isolation) if isolation else pod.workspace, WORKSPACE, writable=True)
        groups = self._limits.container_groups(container, record.limits)
        mounts = [
            Mount(supervisor, SUPERVISOR_PATH),
            *(scratch_mounts(directory) if held is None else ()),
            *(self._machine_mounts(container) if container.role is ContainerRole.WORKER else ()),
            *own_mounts,
        ]
        if held is None:
            root = await asyncio.to_thread(self._host_root, record, _user_of_host(record, container))
        else:
            root = await self._image_root(held, pod, record, container.number, [workspace, *mounts])
        proxy = proxy_environment(None).items() if record.network.through_proxy else ()
        plan = ContainerPlan(
            root=directory / "root",
            image=root.files,
            mounts=[replace(workspace, owners=_owners(record, root)), *mounts],
            environment=(*proxy, *own_environment),
            full_id_map=record.full_ids,
            staged=record.user_base != 0,
            command=(SUPERVISOR_PATH,),
            shared_memory_bytes=shared_memory_of(record.limits),
            overlay=root.overlay,
            working_directory=root.working_directory,
            user=root.program_user(record),
            umask=SHARED_UMASK if record.shares_by_group else OWN_UMASK,
        )
        digest = held.image.digest if held is not None else ""
        new = ContainerRecord(container, record.job_id, NOT_STARTED, digest, isolation)
        await self._start(pod, record, new, plan, groups)
        return container

    def _machine_mounts(self, container: Container) -> list[Mount]:
        """What programs read to know how many processors and how much memory they have."""
        shown = [(PROCESSORS, str(PROCESSORS))] if PROCESSORS.is_dir() else []
        return [Mount(source, target) for source, target in (*shown, *self._limits.shown_groups(container))]

    def _host_root(self, record: PodRecord, user: int) -> ContainerRoot:
        """The machine's own programs."""
        settings = self._settings
        shown = user if record.full_ids else UNPRIVILEGED_USER
        return ContainerRoot(
            host_root(settings.python_prefix, settings.extra_host_paths, user=shown, host_network=record.host_network),
            user=user,
            groups=(user,),
        )

    async def _image_root(
        self, held: HeldImage, pod: PodDirectory, record: PodRecord, number: int, mounts: Sequence[Mount]
    ) -> ContainerRoot:
        def notify(message: str) -> None:
            self._notify(record, message)

        if not record.full_ids:
            ids = self._pods.shared_ids
            notify(f"ids: {ids.problem}, so images have one user, who is not root; {ids.hint}")
        root = await self._roots.make(held, pod, record, number, mounts, notify)
        if record.shares_by_group and root.user != record.tree_owner:
            notify(SHARED_NOTICE)
        return root

    async def _start(
        self, pod: PodDirectory, record: PodRecord, new: ContainerRecord, plan: ContainerPlan, groups: Sequence[Path]
    ) -> None:
        """groups: the `cgroup.procs` files that it joins."""
        container = new.container

        def write_record(init: ProcessMark) -> None:
            known = replace(new, init=init)
            pod.write_container(known)
            self._watch.add(known)

        await start_container(
            self._settings.lasting_command,
            record.holder,
            plan,
            pod.container(container.number),
            write_record,
            host_network=record.host_network,
            cgroup_files=groups,
            rlimits=self._limits.rlimits(record.limits),
            heartbeat_seconds=self._settings.heartbeat_seconds,
        )

    def _supervisor_copy(self) -> Path:
        """A copy that pods may execute and not read. Another version is another file: running pods keep theirs."""
        source = self._settings.supervisor.stat()
        copy = self._settings.data_dir / "run" / f"danube-step-{source.st_mtime_ns:x}"
        if not copy.exists():
            temporary = copy.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            shutil.copyfile(self._settings.supervisor, temporary)
            temporary.chmod(0o111)
            os.replace(temporary, copy)
        return copy


def _user_of_host(record: PodRecord, container: Container) -> int:
    """The user of the pod who runs the image `host`, and the coordinator, which is never root: it runs a program of the
    repository."""
    return record.tree_owner if container.role is ContainerRole.COORDINATOR else record.host_user


def _owners(record: PodRecord, root: ContainerRoot) -> tuple[str, str] | None:
    """How the workspace is shown to the user of a container."""
    if not record.mapped_owners or (root.user, root.groups[0]) == (record.tree_owner, record.tree_owner):
        return None
    users, groups = (exchange(record.user_base, record.tree_owner, one) for one in (root.user, root.groups[0]))
    return users, groups
