"""Creates and removes what a pod is before it has a container: its directory, its user ids, and the process that
holds its namespaces.
"""

import asyncio
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.container_watch import ContainerWatch
from danube_pkg.adapters.runtimes.sandbox.disk_commands import DiskRefused
from danube_pkg.adapters.runtimes.sandbox.disk_usage import descendants
from danube_pkg.adapters.runtimes.sandbox.group_end import END_SECONDS
from danube_pkg.adapters.runtimes.sandbox.id_maps import IdMap, map_of_pod, map_of_user
from danube_pkg.adapters.runtimes.sandbox.id_ranges import IdRanges, has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.launch import start_holder
from danube_pkg.adapters.runtimes.sandbox.limits import PodLimits
from danube_pkg.adapters.runtimes.sandbox.pod_disks import PodDisks
from danube_pkg.adapters.runtimes.sandbox.pod_files import LegRecord, PodDirectory, PodRecord, ProcessMark
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.adapters.runtimes.sandbox.workspace_owners import (
    OWN_MODE,
    SHARED_MODE,
    TREE_OWNER,
    give,
    mount_problem,
)
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.runtimes.pods import Container, Network, PodSpec
from danube_pkg.kit.records import replace
from danube_pkg.kit.trees import remove_tree


class SandboxPods:
    """The pods of a data directory. `pods/` below it has a directory for each, named by the pod's id.

    data_id: the identity of the data directory.
    """

    def __init__(self, settings: SandboxSettings, data_id: str, limits: PodLimits, watch: ContainerWatch) -> None:
        self._data_id = data_id
        self._directory = settings.data_dir / "pods"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._namespaces = settings.namespaces
        self._lasting_command = settings.lasting_command
        self.disks = PodDisks(settings.data_dir)
        self.disks.restore()
        self._limits = limits
        self._watch = watch
        self._ranges = IdRanges() if has_ids_for_pods() else None
        self.shared_ids = IdMap("", "") if self._ranges is not None else map_of_user(settings.namespaces)
        """The ids that all pods share, where they have no ranges of their own."""
        self.userns_command: tuple[str, ...] = ()
        """A command prefix: a program behind it may work on all files in a pod, whatever owners and modes they have. ()
        where the server itself may."""
        self.chown_command: tuple[str, ...] = ()
        """`userns_command` where pods have more than one id."""
        self.not_removed: dict[str, Unavailable] = {}
        """Pods whose files are left, by id: what their last removal raised."""
        if self._ranges is None:
            self.userns_command = self.shared_ids.userns_command(settings.namespaces)
            self.chown_command = self.userns_command if self.shared_ids.is_full else ()

    def directory(self, pod_id: str) -> PodDirectory:
        return PodDirectory(self._directory, pod_id, self._data_id)

    def all(self) -> Sequence[PodDirectory]:
        """Every pod's directory by id, of interrupted creations too."""
        return [self.directory(path.name) for path in sorted(self._directory.iterdir()) if path.is_dir()]

    def running(self) -> list[PodRecord]:
        """The pods whose namespaces are held."""
        records = [pod.read_pod() for pod in self.all()]
        return [record for record in records if record is not None and record.holder.lives()]

    def running_legs(self, record: PodRecord) -> list[PodRecord]:
        """The pod as its isolated legs have it, whose networks are held."""
        legs = self.directory(record.pod_id).leg_records()
        return [replace(record, holder=leg.holder) for leg in legs if leg.holder.lives()]

    def running_record(self, pod: PodDirectory) -> PodRecord:
        """Raises Permanent `pod-lost` for a pod that does not run."""
        record = pod.read_pod()
        if record is None or not record.holder.lives():
            raise Permanent("pod-lost", f"pod {pod.pod_id} has ended or was removed")
        return record

    async def create(self, pod: PodDirectory, spec: PodSpec) -> tuple[PodRecord, str]:
        """Make the directory and start the holder, which is recorded before it may stay.

        Returns why its disk is not limited by the kernel too, "" where it is. Raises HostLacks.
        """
        pod.path.mkdir(mode=0o700, exist_ok=True)
        unlimited = await self.disks.make(pod.pod_id, spec.limits)
        user_base = await asyncio.to_thread(self._ranges.claim, pod.path) if self._ranges is not None else 0
        ids = map_of_pod(user_base) if user_base else self.shared_ids
        mapped = await self._make_workspace(pod, ids, user_base)
        made: list[PodRecord] = []

        def write_record(holder: ProcessMark) -> None:
            record = PodRecord(
                pod_id=spec.pod_id,
                data_id=self._data_id,
                job_id=spec.job_id,
                holder=holder,
                user_base=user_base,
                network=spec.network,
                allowlist=spec.allowlist,
                limits=spec.limits,
                full_ids=ids.is_full,
                tree_owner=TREE_OWNER,
                host_user=0 if spec.run_as_root else TREE_OWNER,
                mapped_owners=mapped,
            )
            pod.write_pod(record)
            made.append(record)

        await start_holder(
            self._lasting_command,
            write_record,
            ids,
            label=f"{self._data_id}/{spec.pod_id}",
            user_base=user_base,
            host_network=spec.network is Network.HOST,
            cgroup_files=self._limits.holder_groups(spec.pod_id, spec.limits),
            log=pod.path / "holder.log",
        )
        return made[0], unlimited

    async def hold_leg(self, pod: PodDirectory, record: PodRecord, number: int) -> PodRecord:
        """Start the process that holds the network of an isolated leg, and make its workspace, which is empty.

        Returns the pod as the leg's containers have it: with that process in the place of the pod's own.
        """
        holders: list[ProcessMark] = []

        def write_record(holder: ProcessMark) -> None:
            pod.write_leg(LegRecord(number, holder, is_complete=False))
            holders.append(holder)

        workspace = pod.legs / str(number)
        workspace.mkdir()
        workspace.chmod(SHARED_MODE if record.shares_by_group else OWN_MODE)
        await give(workspace, record.tree_owner, record.user_base, self.chown_command)
        await start_holder(
            self._lasting_command,
            write_record,
            map_of_pod(record.user_base) if record.user_base else self.shared_ids,
            label=f"{self._data_id}/{pod.pod_id}",
            user_base=record.user_base,
            host_network=record.host_network,
            cgroup_files=self._limits.holder_groups(pod.pod_id, record.limits),
            log=pod.path / "holder.log",
        )
        return replace(record, holder=holders[0])

    async def remove_leg(self, pod: PodDirectory, leg: LegRecord | None, number: int) -> None:
        """End what an interrupted creation has left of an isolated leg. Raises Unavailable."""
        await self._end(pod.pod_id, [leg.holder] if leg is not None else [])
        try:
            await asyncio.to_thread(remove_tree, pod.legs / str(number), self.userns_command)
        except OSError as error:
            what = f"the workspace of leg {number} of pod {pod.pod_id} cannot be removed"
            raise Unavailable("leg-not-removed", what, cause=str(error), hint=f"rm -rf {pod.legs}") from error

    async def _make_workspace(self, pod: PodDirectory, ids: IdMap, user_base: int) -> bool:
        """Whether each image's user can see it as its own."""
        pod.workspace.mkdir(exist_ok=True)
        problem = await mount_problem(self._namespaces, pod.workspace, user_base) if user_base else "not root"
        pod.workspace.chmod(SHARED_MODE if ids.is_full and problem else OWN_MODE)
        await give(pod.workspace, TREE_OWNER, user_base, self.chown_command)
        pod.legs.mkdir(exist_ok=True)
        pod.legs.chmod(OWN_MODE)
        return not problem

    def processes(self, pod: PodDirectory) -> Collection[int]:
        """Every process of a pod."""
        inits = [known.init.pid for known in pod.containers() if known.init.lives()]
        return self._limits.processes(pod.pod_id) or descendants(inits)

    async def remove(self, pod: PodDirectory) -> None:
        """End every process of a pod, then remove its control groups and its directory. Raises Unavailable."""
        self._watch.forget(pod.pod_id)
        record = pod.read_pod()
        await self._limits.end_pod(pod.pod_id)
        holders = [leg.holder for leg in pod.leg_records()]
        holders += [record.holder] if record is not None else []
        await self._end(pod.pod_id, [*(known.init for known in pod.containers()), *holders])
        self._limits.remove(pod.pod_id)
        try:
            await self._remove_files(pod)
        except Unavailable as error:
            self.not_removed[pod.pod_id] = error
            raise
        self.not_removed.pop(pod.pod_id, None)
        if self._ranges is not None:
            await asyncio.to_thread(self._ranges.release, pod.path)

    async def _remove_files(self, pod: PodDirectory) -> None:
        try:
            await self.disks.remove(pod.pod_id)
        except (DiskRefused, OSError) as error:
            raise Unavailable(
                "pod-not-removed",
                f"the file system of pod {pod.pod_id} cannot be unmounted",
                cause=str(error),
                hint=f"find out who uses it: fuser -vm {pod.path}",
            ) from error
        await asyncio.to_thread(pod.remove, self.userns_command)

    async def end_container(self, container: Container) -> None:
        """End every process of a container. Raises Unavailable while one is left."""
        await self._limits.end_container(container)
        known = [one.init for one in self.directory(container.pod_id).containers() if one.container == container]
        await self._end(container.pod_id, known)

    async def _end(self, pod_id: str, marks: Sequence[ProcessMark]) -> None:
        """Kill these processes. The first process of a PID namespace ends when the kernel has ended all others in it.
        Raises Unavailable while one is left."""
        for mark in marks:
            mark.kill()
        try:
            async with asyncio.timeout(END_SECONDS):
                for mark in marks:
                    await self._watch.wait_ended(mark)
        except TimeoutError as error:
            raise Unavailable("pod-busy", f"processes of pod {pod_id} have not ended yet") from error


def write_secret(directory: Path, name: str, content: str) -> Path:
    """A new file, such as the job token, for one container to mount. Every user of that container may read it; no user
    of this machine can, since the directories above are closed."""
    file = directory / name
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(content)
        os.fchmod(descriptor, 0o444)
    return file
