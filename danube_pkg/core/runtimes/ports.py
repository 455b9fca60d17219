"""The port of runtimes: what makes pods, and the programs that run in their containers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from danube_pkg.core.runtimes.pods import Container, PodEvent, PodSpec, PodState


class ExecStream(Protocol):
    """A program that runs in a container: bytes in, bytes out, exit code.

    `read` returns what is there, up to 1 MiB, and b"" at the end; one reader. `write` waits while the pipe is full.
    `wait` gives the exit code (128 + signal for a signal) and raises Unavailable when the connection or the container is
    gone before there was one. `close` drops the connection; the program is not killed by it.
    """

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def close_input(self) -> None: ...
    async def wait(self) -> int: ...
    async def close(self) -> None: ...


class Runtime(Protocol):
    """What makes pods.

    Order: `create_pod`, then any number of `ensure_container`, `exec`; then `delete_pod`. All methods may be called
    concurrently for different jobs; for one job `create_pod` and `delete_pod` are never concurrent with each other, and
    `exec` may run concurrently with everything. Every method is idempotent, so that it can be repeated after a crash.

    Errors: `HostLacks` (the machine cannot do it), `PodRefused`-like `Permanent` errors whose reference is a
    `core.reasons.Reason` value (`image-pull-failed`, `pod-failed`, …), `Unavailable` when trying again may help.
    """

    @property
    def name(self) -> str:
        """`sandbox`, `kubernetes` or `fake`."""
        ...

    async def create_pod(self, spec: PodSpec) -> Container:
        """Make the pod's namespaces, workspace and coordinator container; the supervisor answers when this returns.

        Called again for a pod that is there it returns the same coordinator. Cancelled or failed, it leaves nothing that
        `delete_pod` would not remove.
        """
        ...

    async def ensure_container(self, job_id: str, image: str) -> Container:
        """The living worker container of that image in that pod, made when there is none or when it died."""
        ...

    async def exec(self, container: Container, argv: Sequence[str]) -> ExecStream:
        """Run a program in a container. `argv[0] == SUPERVISOR` is the supervisor. Nothing secret belongs into argv.

        Raises `ContainerGone` (NotFound, reference `container-gone`) when that instance does not live any more.
        """
        ...

    async def memory_kills(self, container: Container) -> int:
        """How many processes of that container the kernel has killed for memory so far; 0 where it cannot be known."""
        ...

    async def delete_pod(self, job_id: str) -> None:
        """End every process of the pod and remove all that belongs to it. No error when there is none."""
        ...

    async def list_pods(self) -> Sequence[PodState]:
        """Every pod that this runtime has on behalf of this data directory, also those made before a restart."""
        ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[PodEvent]]:
        """Events of all pods from now on, in order, without loss while the context is open.

        A container that ended before (also while the server was away) and whose pod still exists is reported first.
        """
        ...

    async def close(self) -> None:
        """Let go of watches and descriptors. Pods go on living."""
        ...
