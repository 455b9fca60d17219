"""Reads the object of a pod: its containers, what it waits for, why it or a container ended. Pure.

The words are those of the API (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/); how a real cluster
fills them is in docs/design/kubernetes.md. A success is never read from here: only the supervisor's record is one.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.manifests import named_image
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerRole, PodState
from danube_pkg.kit.records import Record

Object = Mapping[str, Any]

_KILLED = 137

_STORAGE_LIMITS = ("EmptyDir volume", "ephemeral local storage", "local ephemeral storage")
"""In the kubelet's sentence about a pod that has used more disk than its own limits allow."""

_DISRUPTIONS: Mapping[str, tuple[Reason, str]] = {
    "PreemptionByScheduler": (Reason.PREEMPTED, "a pod of higher priority took its place"),
    "DeletionByTaintManager": (Reason.NODE_LOST, "its node does not report any more, or repels its pods"),
    "DeletionByPodGC": (Reason.NODE_LOST, "its node was removed from the cluster"),
    "EvictionByEvictionAPI": (Reason.NODE_DRAINED, "its node was drained"),
    "TerminationByKubelet": (Reason.EVICTED, "its node ended it"),
}
"""By the reason of the condition DisruptionTarget."""

_ENDED_PHASES = ("Failed", "Succeeded")


class RunState(StrEnum):
    """A container, as its status says."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "terminated"


class ContainerStatus(Record):
    """reason, message: why it waits or ended. image_id: as the node names it, with the registry's digest."""

    container: Container
    state: RunState
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    image_id: str = ""


class PodStatus(Record):
    """A pod as of one version of its object. `cause`: why all of it ended or ends, None while nothing says so.

    start_problem: what an init container said when it failed.
    """

    pod_id: str
    job_id: str
    uid: str
    name: str
    namespace: str
    node: str
    address: str
    phase: str
    deleted_at: float | None
    """When its time to end is over, in Unix seconds; None while it is not deleted."""
    is_root: bool
    has_builder_files: bool
    """Whether it has the volume that builders' files are in."""
    cause: tuple[Reason, str] | None
    containers: tuple[ContainerStatus, ...]
    waiting: str
    start_problem: str

    @property
    def has_ended(self) -> bool:
        """Whether none of its processes can be reached any more."""
        return self.phase in _ENDED_PHASES or (self.cause is not None and self.cause[0] is Reason.NODE_LOST)

    def status_of(self, container: Container) -> ContainerStatus | None:
        """None where the pod has no such container. Its number decides: the engine may name its image otherwise."""
        return next((one for one in self.containers if one.container.number == container.number), None)

    def runs(self, container: Container) -> bool:
        """Whether a program can run in that container."""
        status = self.status_of(container)
        return status is not None and status.state is RunState.RUNNING and not self.has_ended

    @property
    def ended(self) -> Iterator[ContainerStatus]:
        """The containers that ran and have ended, or have ended with their pod."""
        for one in self.containers:
            if one.state is RunState.ENDED or self.has_ended:
                yield one

    @property
    def state(self) -> PodState:
        """As the port has it: the running containers."""
        running = tuple(one.container for one in self.containers if self.runs(one.container))
        complete = any(one.role is ContainerRole.COORDINATOR for one in running)
        return PodState(self.pod_id, self.job_id, running, complete)


def read_pod(pod: Object) -> PodStatus:
    """The status of one of Danube's own pods."""
    metadata, spec, status = pod.get("metadata", {}), pod.get("spec", {}), pod.get("status", {})
    pod_id = metadata.get("labels", {}).get(names.POD, "")
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    containers = tuple(_containers(pod_id, spec, status))
    return PodStatus(
        pod_id=pod_id,
        job_id=metadata.get("annotations", {}).get(names.JOB, ""),
        uid=metadata.get("uid", ""),
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        node=spec.get("nodeName", ""),
        address=status.get("podIP", ""),
        phase=status.get("phase", ""),
        deleted_at=_seconds(metadata.get("deletionTimestamp")),
        is_root=spec.get("securityContext", {}).get("runAsUser") == 0,
        has_builder_files=any(one.get("name") == names.BUILD_VOLUME for one in spec.get("volumes") or ()),
        cause=_cause(metadata, status, conditions),
        containers=containers,
        waiting=_waiting(status, conditions, containers),
        start_problem=_start_problem(status),
    )


def _seconds(time: str | None) -> float | None:
    """RFC 3339, as the API has it, to Unix seconds."""
    return datetime.fromisoformat(time).timestamp() if time else None


def _containers(pod_id: str, spec: Object, status: Object) -> Iterator[ContainerStatus]:
    reported = {
        one["name"]: one for key in ("containerStatuses", "ephemeralContainerStatuses") for one in status.get(key) or ()
    }
    for wanted in (*(spec.get("containers") or ()), *(spec.get("ephemeralContainers") or ())):
        number = names.container_number(wanted["name"])
        if number is None:
            continue
        role = ContainerRole.WORKER if number else ContainerRole.COORDINATOR
        image = named_image(wanted) if number else _COORDINATOR_IMAGE
        yield _container(Container(pod_id, number, role, image), reported.get(wanted["name"], {}))


_COORDINATOR_IMAGE = "host"
"""The coordinator's image is Danube's own part; the port names it as in every runtime."""


def _container(container: Container, status: Object) -> ContainerStatus:
    state = status.get("state") or {}
    image_id = status.get("imageID", "")
    if (ended := state.get("terminated")) is not None:
        return ContainerStatus(
            container,
            RunState.ENDED,
            ended.get("reason", ""),
            ended.get("message", "").strip(),
            ended.get("exitCode"),
            image_id,
        )
    if "running" in state:
        return ContainerStatus(container, RunState.RUNNING, image_id=image_id)
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "").strip()
    return ContainerStatus(container, RunState.WAITING, reason, message, image_id=image_id)


# --- why it ended


def _cause(metadata: Object, status: Object, conditions: Mapping[str, Object]) -> tuple[Reason, str] | None:
    reason, message = status.get("reason", ""), status.get("message", "").strip()
    if reason == "Evicted":
        is_own_limit = any(words in message for words in _STORAGE_LIMITS) and "exceed" in message
        return Reason.WORKSPACE_FULL if is_own_limit else Reason.EVICTED, message or "its node was short of a resource"
    if reason == "DeadlineExceeded":
        return Reason.JOB_TIMEOUT, message or "it ran longer than its pod may"
    if reason == "NodeLost":
        return Reason.NODE_LOST, message or "its node does not report any more"
    disruption = conditions.get("DisruptionTarget", {})
    if disruption.get("status") == "True":
        kind, said = disruption.get("reason", ""), disruption.get("message", "").strip()
        known, words = _DISRUPTIONS.get(kind, (Reason.EVICTED, f"it was disrupted ({kind})"))
        return known, f"{words}: {said}" if said else words
    if "deletionTimestamp" in metadata:
        return Reason.POD_LOST, "its pod was deleted without Danube"
    if status.get("phase") == "Failed" and reason:
        return Reason.POD_LOST, f"{reason}: {message}" if message else reason
    return None


def end_of(pod: PodStatus, status: ContainerStatus) -> tuple[Reason, str]:
    """Why a container has ended. Its own lack of memory is more exact than a deletion that followed, and less exact
    than an eviction, which kills in the same way."""
    cause = pod.cause
    ran_out = status.state is RunState.ENDED and status.reason == "OOMKilled"
    if ran_out and (cause is None or cause[0] is Reason.POD_LOST):
        return Reason.OUT_OF_MEMORY, f"{_which(status.container)} was out of memory"
    if cause is not None:
        return cause
    how = f"exit code {status.exit_code}" if status.exit_code is not None else "no exit code"
    if status.reason and status.reason not in ("Completed", "Error"):
        how = f"{status.reason}, {how}"
    return Reason.POD_LOST, f"{_which(status.container)} ended ({how})" + (
        f": {status.message}" if status.message else ""
    )


def _which(container: Container) -> str:
    if container.role is ContainerRole.COORDINATOR:
        return "the coordinator's container"
    return f"the container of image {container.image!r}"


# --- why it waits


class StartProblem(Record):
    """Why a container does not start. lasting: whether waiting longer is of no use."""

    reason: Reason
    message: str
    lasting: bool


_PULL_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "ImageInspectError",
    "SignatureValidationFailed",
)
_NEVER_REASONS = ("ErrImageNeverPull", "InvalidImageName")
_CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")

_LASTING_WORDS = (
    "not found",
    "unauthorized",
    "authorization failed",
    "access denied",
    "authentication required",
    "forbidden",
    "no such host",
    "manifest unknown",
    "no match for platform",
    "invalid reference format",
)
"""In the registry's sentence: another try gets the same response. Everything else may pass, such as a rate limit."""


def start_problem(status: ContainerStatus) -> StartProblem | None:
    """What keeps a waiting container from starting; None where it only needs time."""
    if status.state is not RunState.WAITING:
        return None
    if status.reason in _NEVER_REASONS:
        return StartProblem(Reason.IMAGE_PULL_FAILED, _said(status), lasting=True)
    if status.reason in _PULL_REASONS:
        lasting = any(words in status.message.lower() for words in _LASTING_WORDS)
        return StartProblem(Reason.IMAGE_PULL_FAILED, _said(status), lasting=lasting)
    if status.reason in _CONFIG_REASONS:
        return StartProblem(Reason.POD_FAILED, _said(status), lasting=status.reason != "CreateContainerError")
    return None


def _said(status: ContainerStatus) -> str:
    return f"{status.reason}: {status.message}" if status.message else status.reason


def _waiting(status: Object, conditions: Mapping[str, Object], containers: tuple[ContainerStatus, ...]) -> str:
    """What the pod waits for, in the words of the component that keeps it waiting; "" where it needs time only."""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"waits for a node: {scheduled.get('message') or scheduled.get('reason', '')}".strip()
    starting = [
        _container(Container("", 0, ContainerRole.COORDINATOR, ""), one)
        for one in status.get("initContainerStatuses") or ()
    ]
    for one in (*starting, *containers):
        if one.state is RunState.WAITING and one.reason not in ("", "ContainerCreating", "PodInitializing"):
            return f"waits for a container: {_said(one)}"
    return ""


def _start_problem(status: Object) -> str:
    """What the init container said when it failed, or why it cannot start for good; "" otherwise."""
    for one in status.get("initContainerStatuses") or ():
        found = _container(Container("", 0, ContainerRole.COORDINATOR, ""), one)
        if found.state is RunState.ENDED and found.exit_code != 0:
            return found.message or f"the supervisor could not be placed: {found.reason}, exit code {found.exit_code}"
        problem = start_problem(found)
        if problem is not None and problem.lasting:
            return f"image {one.get('image', '')}: {problem.message}"
    return ""
