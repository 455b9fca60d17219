"""How the machine's memory is divided between pods and everything else, and what a pod has that names no limit.

The numbers are shares, since the same program runs on machines of 1 GB and of 1 TB.
"""

import functools
from pathlib import Path

from danube_pkg.core.runtimes.pods import Limits
from danube_pkg.kit.records import replace

LEAST_KEPT_BYTES = 512 * 1024**2
"""What the server, the egress proxy and the services of a small machine need, and some for the page cache."""

LEAST_OF_A_POD_BYTES = 1024**3
"""Less than this is not enough for common builds, so a small machine rather runs them one after the other."""

BYTES_OF_A_PROCESS = 1024**2
"""A process that does anything needs more, and the kernel a part of it for an idle one. So the processes that a pod may
have fit into its memory."""

LEAST_PROCESSES = 128
"""A parallel build in a small pod."""


LEAST_SHARED_BYTES = 64 * 1024**2
"""The size of /dev/shm in common container runtimes, which programs expect."""


@functools.cache
def machine_bytes() -> int:
    """The memory of this machine."""
    words = Path("/proc/meminfo").read_text().split()
    return int(words[words.index("MemTotal:") + 1]) * 1024


def memory_of_all_pods(machine: int | None = None) -> int:
    """The bound in bytes for all pods of the machine together. machine: its memory, by default this machine's."""
    total = machine_bytes() if machine is None else machine
    return total - min(max(LEAST_KEPT_BYTES, total // 8), total // 2)


def effective_limits(limits: Limits, machine: int | None = None) -> Limits:
    """The limits of a pod with those that it does not name: half of the memory of all pods, and as many processes as
    its memory allows. machine: as in `memory_of_all_pods`."""
    all_pods = memory_of_all_pods(machine)
    memory = limits.memory_bytes or min(all_pods, max(all_pods // 2, LEAST_OF_A_POD_BYTES))
    allowed = max(LEAST_PROCESSES, memory // BYTES_OF_A_PROCESS)
    processes = min(limits.processes, allowed) if limits.processes else allowed
    return replace(limits, memory_bytes=memory, processes=processes)


def shared_memory_of(limits: Limits, machine: int | None = None) -> int:
    """The size of /dev/shm in bytes: a quarter of the pod's memory. With control groups what it holds counts as that
    memory; without them this is its only bound. machine: as in `memory_of_all_pods`."""
    return max(LEAST_SHARED_BYTES, effective_limits(limits, machine).memory_bytes // 4)
