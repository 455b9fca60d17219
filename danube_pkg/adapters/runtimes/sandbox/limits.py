"""The limits of pods: by control groups where the server may make them, elsewhere by rlimits of each process.

With rlimits memory is limited for each process; that of the whole pod is measured (`memory_guard`), which the job's log
says. The number of processes is one of the pod all the same: since Linux 5.14 it is counted for each user namespace,
and a pod's containers share one.
"""

from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.group_end import end_groups, processes_of
from danube_pkg.adapters.runtimes.sandbox.machine_memory import effective_limits
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, Limits

HOLDER_GROUP = "holder"
"""The control group of the process that keeps a pod's namespaces open, beside those of its containers."""


class PodLimits:
    """Applies limits to pods, and knows what exceeded them. directory: the id of the data directory of the pods."""

    def __init__(self, directory: str) -> None:
        self._cgroups = find_cgroups(directory)

    @property
    def limit_memory(self) -> bool:
        """Whether the kernel limits the memory of each pod and of all together."""
        return self._cgroups.limits_with("memory")

    def notice(self, limits: Limits) -> str:
        """What the job's log should say about its limits; "" where all of them apply to the whole pod."""
        if self.limit_memory:
            return ""
        memory = f"memory of each process {limits.memory_bytes >> 20} MB, " if limits.memory_bytes else ""
        lack = "no control groups for memory" if self._cgroups.hierarchies else "no control groups without root"
        whole = effective_limits(limits).memory_bytes >> 20
        return f"limits: {memory}{lack}, so the memory of the whole pod ({whole} MB) is measured every second"

    def holder_groups(self, pod_id: str, limits: Limits) -> Sequence[Path]:
        """Makes the pod's control groups; the `cgroup.procs` files that its holder joins."""
        return self._cgroups.make(pod_id, HOLDER_GROUP, effective_limits(limits))

    def container_groups(self, container: Container, limits: Limits) -> Sequence[Path]:
        """The `cgroup.procs` files that a container joins."""
        return self._cgroups.add(container.pod_id, str(container.number), effective_limits(limits))

    def shown_groups(self, container: Container) -> Sequence[tuple[Path, str]]:
        """Control groups that the container shows to its programs, with their paths in it."""
        return self._cgroups.shown(container.pod_id, container.number)

    def rlimits(self, limits: Limits) -> list[str]:
        """`name=value` for each rlimit of a container's processes.

        Only a limit of memory that the pipeline names becomes one of address space: programs reserve far more than they
        use.
        """
        found = ["core=0"]
        if limits.memory_bytes and not self.limit_memory:
            found.append(f"as={limits.memory_bytes}")
        if not self._cgroups.limits_with("pids"):
            found.append(f"nproc={effective_limits(limits).processes}")
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
        """Every process in the pod's control groups; none without control groups."""
        return processes_of(self._cgroups.pod_groups(pod_id))

    async def end_pod(self, pod_id: str) -> None:
        """End every process in the pod's control groups, also of an interrupted creation that was not recorded. Raises
        Unavailable while one is left."""
        await end_groups(self._cgroups.pod_groups(pod_id), f"pod {pod_id}")

    async def end_container(self, container: Container) -> None:
        """End every process in the container's control groups. Raises Unavailable while one is left."""
        groups = self._cgroups.container_groups(container.pod_id, container.number)
        await end_groups(groups, f"container {container.number} of pod {container.pod_id}")

    def remove(self, pod_id: str) -> None:
        """Remove the pod's control groups. Raises Unavailable while a process is in one of them."""
        self._cgroups.remove(pod_id)
