"""The memory that processes hold, read from outside. Blocks; call it in a thread.

What is on a disk too (programs, mapped files) does not count: the kernel takes it back where memory is short.
"""

from collections.abc import Collection, Mapping

_RESIDENT = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
"""Lines of /proc/PID/status (proc(5)), which every user may read: pages that processes share count for each."""

_PROPORTIONAL = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")
"""Lines of /proc/PID/smaps_rollup: each process has its part of a page that it shares. Reading it walks all pages."""


class MemoryUse:
    """The memory of pods, by id. processes: those of each pod.

    `resident_bytes` costs little and is never too low; `exact_bytes` counts each page once.
    """

    def __init__(self, processes: Mapping[str, Collection[int]]) -> None:
        self._processes = processes

    def resident_bytes(self) -> dict[str, int]:
        return {pod: sum(map(_resident, found)) for pod, found in self._processes.items()}

    def exact_bytes(self) -> dict[str, int]:
        """A process that may not be read counts with what is resident of it."""
        return {pod: sum(map(_proportional, found)) for pod, found in self._processes.items()}


def excess(used: Mapping[str, int], limits: Mapping[str, int], together: int) -> dict[str, str]:
    """Pods that must end for their memory, with the cause: those above their own limit, else the largest one where all
    have more than `together`. All in bytes, by the pods' ids."""
    found = {
        pod: f"its processes hold {size >> 20} MB of memory, the limit is {limits[pod] >> 20} MB"
        for pod, size in used.items()
        if size > limits[pod]
    }
    if not found and sum(used.values()) > together:
        pod = max(used, key=lambda one: used[one])
        what = f"all pods together hold {sum(used.values()) >> 20} MB of memory, the limit is {together >> 20} MB"
        found[pod] = f"{what}; this one holds most, {used[pod] >> 20} MB"
    return found


def _resident(process: int) -> int:
    return _sum_of(f"/proc/{process}/status", _RESIDENT)


def _proportional(process: int) -> int:
    try:
        return _sum_of(f"/proc/{process}/smaps_rollup", _PROPORTIONAL)
    except PermissionError:
        return _resident(process)


def _sum_of(path: str, names: tuple[bytes, ...]) -> int:
    """In bytes; 0 for a process that has ended. Raises PermissionError."""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))
