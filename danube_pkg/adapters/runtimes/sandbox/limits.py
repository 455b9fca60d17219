"""The limits of pods: by control groups where the server may make them, elsewhere by rlimits of each process.

With rlimits memory is limited for each process and not for the pod, which the job's log says. The number of processes
is one of the pod all the same: since Linux 5.14 it is counted for each user namespace, and a pod's containers share
one.
"""

from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, Limits

HOLDER_GROUP = "holder"
"""The control group of the process that keeps a pod's namespaces open, beside those of its containers."""


class PodLimits:
    """Applies limits to pods, and knows what exceeded them."""

    def __init__(self) -> None:
        self._cgroups = find_cgroups()

    def notice(self, limits: Limits) -> str:
        """What the job's log should say about its limits; "" where all of them apply to the whole pod."""
        if self._cgroups.hierarchies:
            return ""
        memory = f"memory of each process {limits.memory_bytes >> 20} MB, " if limits.memory_bytes else ""
        return f"limits: {memory}no control groups without root, so no memory bound for the whole pod"

    def holder_groups(self, pod_id: str, limits: Limits) -> Sequence[Path]:
        """Makes the pod's control groups; the `cgroup.procs` files that its holder joins."""
        return self._cgroups.make(pod_id, HOLDER_GROUP, limits)

    def container_groups(self, container: Container, limits: Limits) -> Sequence[Path]:
        """The `cgroup.procs` files that a container joins."""
        return self._cgroups.make(container.pod_id, str(container.number), limits)

    def rlimits(self, limits: Limits) -> list[str]:
        """`name=value` for each rlimit of a container's processes."""
        found = ["core=0"]
        if not self._cgroups.hierarchies:
            found += [f"as={limits.memory_bytes}"] if limits.memory_bytes else []
            found += [f"nproc={limits.processes}"] if limits.processes else []
        return found

    def memory_kills(self, container: Container) -> int:
        """How many of the container's processes the kernel has killed for memory; 0 without control groups."""
        return self._cgroups.memory_kills(container.pod_id, container.number)

    def reason_of_end(self, container: Container) -> tuple[Reason, str]:
        """Why a container has ended that was not stopped by the server, and the message for users."""
        if self.memory_kills(container) > 0:
            return Reason.OUT_OF_MEMORY, "the kernel killed its container: out of memory"
        return Reason.POD_LOST, "its container ended: something outside Danube killed it"

    def processes(self, pod_id: str) -> set[int]:
        """Every process in the pod's control groups, also of an interrupted creation that was not recorded."""
        return self._cgroups.processes(pod_id)

    def remove(self, pod_id: str) -> None:
        """Remove the pod's control groups. Raises Unavailable while a process is in one of them."""
        self._cgroups.remove(pod_id)
