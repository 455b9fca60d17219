"""Names, labels and paths of what Danube makes in a cluster. Pure.

Every object has the label INSTANCE with the identity of the data directory, by which everything is listed and watched:
two Danubes in one namespace never see each other's objects.
"""

from collections.abc import Mapping

from danube_pkg.core.errors import Invalid
from danube_pkg.core.runtimes.pods import Container, ContainerRole, PodSpec

INSTANCE = "danube.dev/instance"
POD = "danube.dev/pod"
ROLE = "danube.dev/role"
MANAGED_BY = "app.kubernetes.io/managed-by"
JOB = "danube.dev/job"
PIPELINE = "danube.dev/pipeline"

FINALIZER = "danube.dev/result"
"""Keeps the object of a pod that others have deleted until Danube has read why it ended."""

SUPERVISOR_DIRECTORY = "/.danube/bin"
SUPERVISOR_PATH = f"{SUPERVISOR_DIRECTORY}/danube-step"
CONNECTION_DIRECTORY = "/.danube/connection"
WORKSPACE = "/workspace"

BUILD_VOLUME = "builder"
COORDINATOR = "coordinator"
INIT = "supervisor"
_WORKER = "worker-"

_LONGEST_POD_ID = 56
"""With the prefix, an object's name is then a DNS label of 63 characters, which the host name of a pod must be."""


def object_name(pod_id: str) -> str:
    """The name of a pod's objects. Raises Invalid for an id that no object can have."""
    if not 0 < len(pod_id) <= _LONGEST_POD_ID or pod_id[-1] == "-":
        what = f"the pod id {pod_id!r} cannot be the name of an object of Kubernetes"
        raise Invalid("pod-id-invalid", what, hint=f"use 1 to {_LONGEST_POD_ID} lower-case letters, digits and '-'")
    return f"danube-{pod_id}"


def build_secret(pod_id: str) -> str:
    """The Secret with the files of a pod's builders."""
    return f"{object_name(pod_id)}-build"


def pull_secret(pod_id: str) -> str:
    """The Secret with what the nodes pull a pod's images with."""
    return f"{object_name(pod_id)}-pull"


def selector(instance: str) -> str:
    """The label selector of all objects of a data directory."""
    return f"{INSTANCE}={instance}"


def labels(instance: str, pod_id: str) -> Mapping[str, str]:
    """The labels of a pod and of what belongs to it."""
    return {MANAGED_BY: "danube", INSTANCE: instance, POD: pod_id, ROLE: "job"}


def annotations(spec: PodSpec) -> Mapping[str, str]:
    """What labels cannot hold: names of any length."""
    return {JOB: spec.job_id, PIPELINE: spec.pipeline}


def container_name(container: Container) -> str:
    """The name of a container within its pod."""
    return COORDINATOR if container.role is ContainerRole.COORDINATOR else f"{_WORKER}{container.number}"


def container_number(name: str) -> int | None:
    """The number of the container with that name; None for one that is not a job's."""
    if name == COORDINATOR:
        return 0
    number = name.removeprefix(_WORKER)
    return int(number) if number != name and number.isdecimal() else None
