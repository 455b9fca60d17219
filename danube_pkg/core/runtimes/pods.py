"""The description of a pod, alike for every runtime: one coordinator container and a worker container for each image.

Every container runs `danube-step idle` as its PID 1; whatever runs in it, the coordinator's program included, is a step
of that supervisor. Pure data; how it becomes processes or Kubernetes objects is a runtime's affair.
"""

from enum import StrEnum
from typing import Annotated

from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import HIDDEN, Record

HOST_IMAGE = "host"
"""The image that stands for the machine's own programs (embedded runtime only)."""

SUPERVISOR = "danube-step"
"""argv[0] that a runtime's exec understands as the supervisor, wherever it is mounted."""


class ContainerRole(StrEnum):
    """Which of a pod's containers: the coordinator is made with the pod, workers on first use of their image."""

    COORDINATOR = "coordinator"
    WORKER = "worker"


class Network(StrEnum):
    """What a pod reaches: nothing; what its allowlist names; everything, to learn what a list would need; what the host does.

    ALLOWLIST and LEARN go through the egress proxy, which writes each attempt down.
    """

    NONE = "none"
    ALLOWLIST = "allowlist"
    LEARN = "learn"
    HOST = "host"

    @property
    def through_proxy(self) -> bool:
        return self in (Network.ALLOWLIST, Network.LEARN)


class Limits(Record):
    """Bounds of a whole pod. 0 means no bound of its own."""

    memory_bytes: int = 0
    cpu_cores: float = 0.0
    processes: int = 4096
    workspace_bytes: int = 5 * 1024**3


class PodSpec(Record):
    """All that a runtime needs to make a job's pod; everything but the token may be logged."""

    job_id: str
    pipeline: str
    limits: Limits
    network: Network
    token: Annotated[str, HIDDEN]
    """The job token; it is put into a file that only the coordinator's container sees."""
    allowlist: tuple[str, ...] = ()
    """Entries of `core.egress.policy`; they hold for Network.ALLOWLIST, and go before what is learned for LEARN."""


class PodSockets(Record):
    """Descriptors through which a pod's network is served from outside of it; they stay their maker's.

    listener: accepts connections at core.egress.PROXY_PORT of every loopback address. names: datagrams for port 53.
    holder: readable when the pod has ended. counters: files of the kernel's counters of that network.
    """

    listener: int
    names: int
    holder: int
    counters: tuple[int, ...]


class Container(Record):
    """One instance of a container. A container that died is never revived: the next one has another `number`.

    number: 0 is the coordinator; workers count from 1 in the order in which they were made, also after a restart.
    """

    job_id: str
    number: int
    role: ContainerRole
    image: str


class PodState(Record):
    """What a runtime found of a pod: its living containers. No container and `complete` False: a torn creation."""

    job_id: str
    containers: tuple[Container, ...]
    complete: bool


class ContainerEnded(Record):
    """A container is gone. `reason` is OUT_OF_MEMORY, EVICTED, WORKSPACE_FULL or POD_LOST; `message` is for people."""

    container: Container
    reason: Reason
    message: str


class PodNotice(Record):
    """Something that a person wants to know while a pod is made or runs: why it waits, which limits are in force."""

    job_id: str
    message: str


PodEvent = ContainerEnded | PodNotice
