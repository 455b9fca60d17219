"""Runs one pod on the node: volumes, containers in their order, and the end of the pod, all written into its status."""

import asyncio
import secrets
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.fakes.kubernetes.api_errors import ApiError, Json
from tests.fakes.kubernetes.images import FakeImage, FakeImages, PullRefused
from tests.fakes.kubernetes.pod_status import (
    FIELDS,
    SECTIONS,
    container_status,
    running,
    set_condition,
    set_phase,
    terminated,
    waiting,
)
from tests.fakes.kubernetes.processes import ContainerProcess, ProcessPlan, StartFailed, start
from tests.fakes.kubernetes.resources import PODS
from tests.fakes.kubernetes.store import ObjectStore, now_text
from tests.fakes.kubernetes.volumes import NotMounted, excess, make_volumes, mounts_of, size_of

_TERMINATION_BYTES = 4096


class Node(Protocol):
    """What a worker needs of its node."""

    store: ObjectStore
    images: FakeImages
    directory: Path
    address: str
    pull_retry_seconds: float
    lost: bool

    def record(self, pod: Json, kind: str, reason: str, message: str) -> None: ...


@dataclass(slots=True)
class Ending:
    """Why a pod ends. reason, message: of its status. code_kept: whether its containers may still end by themselves.

    has_condition: whether an eviction is a disruption; one for the pod's own limits is none.
    """

    reason: str = ""
    message: str = ""
    grace_seconds: float = 30.0
    deleted: bool = False
    has_condition: bool = True


@dataclass(slots=True)
class Running:
    """What the worker knows of a container."""

    state: Json
    image: FakeImage | None = None
    process: ContainerProcess | None = None
    container_id: str = ""
    started: str = ""


@dataclass
class PodWorker:
    """One pod that was bound to the node. pod: as it was then; ephemeral containers are added by `update`."""

    node: Node
    pod: Json
    address: str
    containers: dict[str, dict[str, Running]] = field(default_factory=lambda: {key: {} for key in SECTIONS})
    ending: Ending | None = None
    volumes: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metadata = self.pod["metadata"]
        self.directory = self.node.directory / self.metadata["uid"]
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._group: asyncio.TaskGroup
        self._mounted = False
        self._stopped = False

    def update(self, pod: Json) -> None:
        """The pod has changed."""
        self.pod = pod
        self._changed.set()

    def end(self, ending: Ending) -> None:
        """End the pod; the first cause counts, but a deletion always does."""
        if self.ending is None:
            self.ending = ending
        self.ending.deleted = self.ending.deleted or ending.deleted
        self.ending.grace_seconds = min(self.ending.grace_seconds, ending.grace_seconds)
        self._ended.set()

    def process(self, name: str) -> ContainerProcess | None:
        """The process of a container, by its name."""
        for section in self.containers.values():
            if name in section:
                return section[name].process
        return None

    async def run(self) -> None:
        """Returns when no process of the pod is left and its last status is written."""
        for section, key in FIELDS.items():
            for container in self.pod["spec"].get(key) or []:
                reason = "PodInitializing" if self.pod["spec"].get("initContainers") and section == "main" else ""
                self.containers[section][container["name"]] = Running(waiting(reason or "ContainerCreating"))
        self.write(self._begin)
        try:
            async with asyncio.TaskGroup() as self._group:
                living = self._group.create_task(self._live(), name="pod-containers")
                ended = self._group.create_task(self._ended.wait(), name="pod-end")
                others = [self._group.create_task(self._run_ephemeral(), name="pod-ephemeral")]
                if seconds := self.pod["spec"].get("activeDeadlineSeconds"):
                    others.append(self._group.create_task(self._deadline(seconds), name="pod-deadline"))
                await asyncio.wait((living, ended), return_when=asyncio.FIRST_COMPLETED)
                await self._stop()
                for task in (living, ended, *others):
                    task.cancel()
        finally:
            for one in self._all():
                if one.process is not None:
                    one.process.kill()
                    await one.process.wait()

    def _begin(self, pod: Json) -> None:
        status = pod["status"]
        status |= {"startTime": now_text(), "hostIP": self.node.address, "hostIPs": [{"ip": self.node.address}]}
        status |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}

    def write(self, change: Callable[[Json], None] | None = None) -> None:
        """Write the status. A node that is lost writes nothing, and the kubelet nothing while it ends a pod: how each
        container ended is seen together with why."""
        if self.ending is not None and not self._stopped:
            return
        found = self.node.store.find(PODS, self.metadata["namespace"], self.metadata["name"])
        if found is None or self.node.lost or found["metadata"]["uid"] != self.metadata["uid"]:
            return
        if change is not None:
            change(found)
        set_condition(found, "PodReadyToStartContainers", self._mounted and not self._stopped)
        for section, key in SECTIONS.items():
            made = [self._status_of(section, one) for one in found["spec"].get(FIELDS[section]) or []]
            if made:
                found["status"][key] = made
        states = {key: {name: one.state for name, one in section.items()} for key, section in self.containers.items()}
        set_phase(found, states, stopped=self._stopped)
        if self.ending is not None and self.ending.reason and self._stopped:
            self._write_ending(found)
        try:
            self.node.store.update(PODS, found)
        except ApiError:  # it was removed meanwhile
            return

    def _write_ending(self, found: Json) -> None:
        assert self.ending is not None
        found["status"] |= {"phase": "Failed", "reason": self.ending.reason, "message": self.ending.message}
        if self.ending.reason == "Evicted" and self.ending.has_condition:
            message = self.ending.message
            set_condition(found, "DisruptionTarget", True, reason="TerminationByKubelet", message=message)

    def _status_of(self, section: str, container: Json) -> Json:
        one = self.containers[section].get(container["name"]) or Running(waiting("ContainerCreating"))
        return container_status(
            container, one.state, image=one.image, container_id=one.container_id, ephemeral=section == "ephemeral"
        )

    async def _live(self) -> None:
        await self._mount()
        for container in self.pod["spec"].get("initContainers") or []:
            if await self._run_container("init", container):
                return
        async with asyncio.TaskGroup() as group:
            for container in self.pod["spec"]["containers"]:
                group.create_task(self._run_container("main", container), name=f"container-{container['name']}")

    async def _mount(self) -> None:
        """Wait for the volumes: a Secret may be created after the pod."""
        with self.node.store.changes() as changed:
            reported = ""
            while True:
                changed.clear()
                try:
                    self.volumes = make_volumes(self.node.store, self.pod, self.directory / "volumes")
                    self._mounted = True
                    return
                except NotMounted as error:
                    if str(error) != reported:
                        reported = str(error)
                        self.node.record(self.pod, "Warning", "FailedMount", reported)
                await changed.wait()

    async def _run_ephemeral(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for container in self.pod["spec"].get("ephemeralContainers") or []:
                    if container["name"] not in self.containers["ephemeral"]:
                        self.containers["ephemeral"][container["name"]] = Running(waiting("ContainerCreating"))
                        self.write()
                        group.create_task(self._run_container("ephemeral", container), name="container-ephemeral")

    async def _deadline(self, seconds: int) -> None:
        await asyncio.sleep(seconds)
        message = "Pod was active on the node longer than the specified deadline"
        self.node.record(self.pod, "Normal", "DeadlineExceeded", message)
        self.end(Ending("DeadlineExceeded", message, 1.0))

    async def _run_container(self, section: str, container: Json) -> int:
        """Pull, start and follow a container; its exit code."""
        one = self.containers[section].setdefault(container["name"], Running(waiting("ContainerCreating")))
        one.image = await self._pull(one, container)
        one.container_id = f"containerd://{secrets.token_hex(32)}"
        plan = self._plan(container, one.image, one.container_id)
        if plan.user == 0 and self._setting(container, "runAsNonRoot"):
            one.state = waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
            self.write()
            await asyncio.Event().wait()
        try:
            one.process = await start(plan)
        except StartFailed as error:
            zero = "1970-01-01T00:00:00Z"
            one.state = terminated(128, zero, reason="StartError", message=str(error), container_id=one.container_id)
            self.write()
            return 128
        one.started = now_text()
        one.state = running()
        self.node.record(self.pod, "Normal", "Started", "Container started")
        self.write()
        code = await one.process.wait()
        one.state = self._end_state(one, code)
        self.write()
        return code

    def _end_state(self, one: Running, code: int) -> Json:
        assert one.process is not None
        message = one.process.plan.termination_log.read_bytes()[-_TERMINATION_BYTES:].decode(errors="replace")
        reason = "OOMKilled" if one.process.killed_for_memory else ""
        return terminated(code, one.started, reason=reason, message=message, container_id=one.container_id)

    async def _pull(self, one: Running, container: Json) -> FakeImage:
        name = container["image"]
        while True:
            await asyncio.sleep(self.node.images.slow.get(name, 0.0))
            try:
                return self.node.images.pull(name)
            except PullRefused as error:
                one.state = waiting("ErrImagePull", str(error))
                self.write()
                self.node.record(self.pod, "Warning", "Failed", f'Failed to pull image "{name}": {error}')
                await asyncio.sleep(self.node.pull_retry_seconds)
                back_off = f'Back-off pulling image "{name}": ErrImagePull: {error}'
                one.state = waiting("ImagePullBackOff", back_off)
                self.write()
                await asyncio.sleep(self.node.pull_retry_seconds)

    def _plan(self, container: Json, image: FakeImage, container_id: str) -> ProcessPlan:
        environment = {one["name"]: self._value(one) for one in container.get("env") or []}
        command = [*(container.get("command") or ()), *(container.get("args") or ())]
        user = self._setting(container, "runAsUser")
        return ProcessPlan(
            self.directory / "containers" / container_id[-12:],
            image,
            command,
            environment,
            mounts_of(container, self.volumes),
            1000 if user is None else user,
            container.get("workingDir", ""),
            self.metadata["name"][:63],
        )

    def _value(self, variable: Json) -> str:
        """The value of an environment variable; `fieldRef` has what the downward API knows of a pod."""
        path = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
        known = {"metadata.name": self.metadata["name"], "metadata.namespace": self.metadata["namespace"]}
        known |= {
            "status.podIP": self.address,
            "status.hostIP": self.node.address,
            "metadata.uid": self.metadata["uid"],
        }
        return known.get(path) or str(variable.get("value", ""))

    def _setting(self, container: Json, name: str) -> int | None:
        """A field of the container's security context, else of the pod's."""
        own = (container.get("securityContext") or {}).get(name)
        found: int | None = own if own is not None else (self.pod["spec"].get("securityContext") or {}).get(name)
        return found

    def _all(self) -> list[Running]:
        return [one for section in self.containers.values() for one in section.values()]

    async def _stop(self) -> None:
        """End every process: TERM, the grace period, KILL. Containers that never ran have no exit code of their own."""
        living = [one.process for one in self._all() if one.process is not None and one.process.lives]
        grace = self.ending.grace_seconds if self.ending is not None else 0.0
        for process in living:
            process.signal(signal.SIGTERM)
        if living and grace:
            waits = [asyncio.ensure_future(process.wait()) for process in living]
            await asyncio.wait(waits, timeout=grace)
            for wait in waits:
                wait.cancel()
        for one in self._all():
            if one.process is None:
                if "waiting" in one.state and self.ending is not None:
                    message = "The container could not be located when the pod was terminated"
                    one.state = terminated(137, "", reason="ContainerStatusUnknown", message=message)
                continue
            one.process.kill()
            code = await one.process.wait()
            if "terminated" not in one.state:
                one.state = self._end_state(one, code)
        self._stopped = True
        self.write()

    def excess(self) -> str:
        """Why the pod is to be evicted for what it wrote, "" where it is not."""
        written = sum(size_of(one.process.plan.directory) for one in self._all() if one.process is not None)
        return excess(self.pod, self.volumes, written) if self._mounted else ""
