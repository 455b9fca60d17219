"""The port of runtimes, which create pods, and of the programs that run in their containers.

`tests/contract` holds every runtime, the fake included, to what is written here.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerFile, PodEvent, PodSpec, PodState


class ExecStream(Protocol):
    """A program that runs in a container: bytes in, bytes out, exit code.

    `read` returns what is available, up to 1 MiB, and b"" at the end; one reader. `write` waits while the pipe is
    full and raises Unavailable once the program does not read any more. `wait` returns the exit code (128 + signal
    for a signal) and raises Unavailable when the connection or the container ended before there was one. `close`
    drops the connection; the program is not killed by it.
    """

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def close_input(self) -> None: ...
    async def wait(self) -> int: ...
    async def close(self) -> None: ...


class Runtime(Protocol):
    """Creates pods, runs programs in their containers and removes them.

    A pod is identified by its `pod_id` alone; several pods of one job are independent of each other.

    Order: `create_pod`, then any number of `ensure_container`, `exec`; then `delete_pod`. All methods may be called
    concurrently for different pods; for one pod `create_pod` and `delete_pod` are never concurrent with each other, and
    `exec` may run concurrently with everything. Every method is idempotent, so that it can be repeated after a crash.

    Errors: `HostLacks` (the machine cannot do it), `Permanent` with a `core.reasons.Reason` value as its reference
    (`image-pull-failed`, `pod-failed`, …), `Unavailable` when a retry may help.
    """

    @property
    def name(self) -> str:
        """`sandbox`, `kubernetes` or `fake`."""
        ...

    async def create_pod(self, spec: PodSpec) -> Container:
        """Create namespaces, workspace and coordinator container; returns once the coordinator's supervisor accepts
        `exec`.

        For a pod that exists it returns the same coordinator. Cancelled or failed, it leaves nothing that `delete_pod`
        would not remove.
        """
        ...

    async def egress_enforced_by(self, pod_id: str) -> str:
        """What was observed, when that pod was created, to keep it from passing by the egress proxy: a
        `core.egress.canaries.EnforcedBy`; "" where it was not observed by this process."""
        ...

    async def ensure_container(
        self, pod_id: str, image: str, files: Sequence[ContainerFile] = (), isolation: int = 0
    ) -> Container:
        """The running worker container of that image in that pod, created when there is none or when it has ended. One
        that is created gets the files, which may be secret.

        isolation: 0 for the containers that share the pod's network and workspace. Those of each other number have
        both of their own: no address of another number is reached, and `/workspace` is a copy of the pod's, made for
        the first container of the number. The coordinator reads the copy below DANUBE_LEGS of its environment, by the
        number; a runtime that cannot isolate sets no DANUBE_LEGS and raises Permanent `isolation-unsupported`.

        Raises Permanent `pod-lost` when there is no such pod, `image-pull-failed` when the image cannot be had.
        """
        ...

    async def exec(self, container: Container, argv: Sequence[str]) -> ExecStream:
        """Run a program in a container. `argv[0] == SUPERVISOR` is the supervisor. Nothing secret belongs into argv.

        A program that does not exist exits with 127. Raises NotFound `container-gone` when that instance has ended.
        """
        ...

    async def memory_kills(self, container: Container) -> int:
        """How many processes of that container the kernel has killed for memory so far; 0 where it cannot be known."""
        ...

    async def image_digest(self, container: Container) -> str:
        """The digest of the container's image as its registry names it, `sha256:…`; "" for the machine's own programs
        and for a container that is not known."""
        ...

    async def end_container(self, container: Container, reason: Reason, message: str) -> None:
        """End every process of a container at once; returns when none is left. No error when it has ended.

        reason, message: what the watch reports as the cause. Raises Unavailable while a process is left.
        """
        ...

    async def workspace_full(self, container: Container) -> str:
        """Why the disk of that container's pod is full, "" where it is not or where only `watch` finds out.

        A pod whose disk is full ends, as by `watch`.
        """
        ...

    async def close_network(self, pod_id: str) -> None:
        """From now on nothing in the pod reaches anything outside of it, nor the server, also after a restart; its
        containers continue, and what is made later in them reaches nothing either. Only for a pod whose job has ended.

        Raises Permanent `network-not-closed` where the runtime cannot do it and `pod-lost`, Unavailable.
        """
        ...

    async def delete_pod(self, pod_id: str) -> None:
        """End every process of the pod and remove all that belongs to it. No error when there is none.

        Returns when no process of it is left. Raises Unavailable while one is.
        """
        ...

    async def list_pods(self) -> Sequence[PodState]:
        """Every pod that this runtime has created for this data directory, also before a restart or an upgrade."""
        ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[PodEvent]]:
        """Events of all pods from now on, in order, without loss while the context is open.

        A container that ended before (also while the server was down) and whose pod still exists is reported first, by
        each watch. The deletion of a pod is not an event.
        """
        ...

    async def close(self) -> None:
        """Release watches and descriptors. Pods keep running."""
        ...
