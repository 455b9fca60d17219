"""The description of a pod, alike for every runtime: one coordinator container and a worker container for each image.

Every container runs `danube-step idle` as its PID 1; each program in it, the coordinator's included, is a step of that
supervisor. A pod has an id of its own: a job has no pod while it waits, and one while it runs; a check of the machine
makes a pod without a job. Pure data; how it becomes processes or Kubernetes objects is the runtime's part.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import HIDDEN, Record, field

HOST_IMAGE = "host"
"""The image that stands for the machine's own programs (embedded runtime only)."""

INFRASTRUCTURE_OOM_SCORE = -500
"""The `oom_score_adj` of the server and the egress proxies, where the kernel allows it. Pods have 800: when memory is
short, builds end first. Not -1000: a server that uses half of the memory is the cause itself."""

SUPERVISOR = "danube-step"
"""argv[0] that a runtime's exec understands as the supervisor, wherever it is mounted."""


class ContainerRole(StrEnum):
    """The coordinator is created with the pod, a worker on the first use of its image."""

    COORDINATOR = "coordinator"
    WORKER = "worker"


class Network(StrEnum):
    """What a pod reaches: nothing; its allowlist; everything, recorded, to learn an allowlist; what the host reaches.

    ALLOWLIST and LEARN go through the egress proxy, which records each attempt.
    """

    NONE = "none"
    ALLOWLIST = "allowlist"
    LEARN = "learn"
    HOST = "host"

    @property
    def through_proxy(self) -> bool:
        return self in (Network.ALLOWLIST, Network.LEARN)


class Limits(Record):
    """Limits of a whole pod. 0 means unlimited."""

    memory_bytes: int = 0
    cpu_cores: float = 0.0
    processes: int = 4096
    workspace_bytes: int = 5 * 1024**3
    """The bound for all that the pod writes to a disk, not only to /workspace."""

    @property
    def workspace_inodes(self) -> int:
        """Files and directories on the disk. A file with content takes a block of 4 KiB at least, so that only empty
        files, links and directories reach this bound first."""
        return self.workspace_bytes // 4096


class Placement(Record):
    """Where in a cluster a pod may run, added to what holds for all pods; other runtimes have one machine.

    tolerations: as the API of Kubernetes has them, without what is empty.
    """

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()
    runtime_class: str = ""


class ContainerFile(Record):
    """A file that one container has and its image has not. path: absolute. Every user of the container may read it."""

    path: str
    content: Annotated[str, HIDDEN]


class RegistryLogin(Record):
    """What images of a registry are pulled with."""

    host: str
    username: str
    password: Annotated[str, HIDDEN]


class PodSpec(Record):
    """All that a runtime needs to create a pod; everything but the token may be logged."""

    pod_id: str
    """Lower-case letters, digits and `-`: it becomes the name of directories and of Kubernetes objects."""
    job_id: str
    """The job that the pod is for, for labels and the egress ledger; "" for none, which cannot have an egress proxy."""
    pipeline: str
    limits: Limits
    network: Network
    token: Annotated[str, HIDDEN]
    """The job token; it is put into a file that only the coordinator's container sees."""
    allowlist: tuple[str, ...] = ()
    """Entries of `core.egress.policy`: enforced for Network.ALLOWLIST; for Network.LEARN they take precedence over
    learned ones."""
    deadline_seconds: int = 0
    """For how long the job may still run; 0 for no limit. The server enforces it; a runtime whose pods outlive this
    machine bounds them by it too."""
    placement: Placement = Placement()
    run_as_root: bool = False
    """Root of the pod's own ids, who is not the machine's, runs the steps in the image `host`."""
    builds_images: bool = False
    """Root of the pod's own ids runs the steps in a builder's image, where a runtime must know that beforehand."""
    builder_files: tuple[ContainerFile, ...] = ()
    """The files that `ensure_container` will be given for builders, where a runtime must know them beforehand."""
    pull_logins: tuple[RegistryLogin, ...] = ()
    """For runtimes whose images are pulled by others, such as the nodes of a cluster."""


class PodSockets(Record):
    """Descriptors through which a pod's network is served from outside the pod; the caller closes them.

    listener: accepts connections at core.egress.PROXY_PORT of every loopback address. names: datagrams for port 53.
    holder: readable when the pod has ended. counters: files of the kernel's counters of that network.
    """

    listener: int
    names: int
    holder: int
    counters: tuple[int, ...]


class Container(Record):
    """One instance of a container. One that has ended is never restarted: its successor has another `number`.

    number: 0 is the coordinator; workers count from 1 in the order in which they were created, also after a restart.
    """

    pod_id: str
    number: int
    role: ContainerRole
    image: str


class PodState(Record):
    """What a runtime found of a pod: its running containers.

    job_id: "" for a pod without a job, and for one whose creation was interrupted before that was recorded. complete:
    the coordinator runs; False with no container is an interrupted creation.
    """

    pod_id: str
    job_id: str
    containers: tuple[Container, ...]
    complete: bool


class ContainerEnded(Record):
    """A container has ended. reason: one with `ends_containers`, or what `end_container` was given. message: for
    users."""

    container: Container
    job_id: str
    reason: Reason
    message: str

    @property
    def pod_id(self) -> str:
        return self.container.pod_id


class PodNotice(Record):
    """A line for the job's log while its pod is created or runs: why it waits, which limits apply."""

    pod_id: str
    job_id: str
    message: str


PodEvent = ContainerEnded | PodNotice
