"""Limits by control groups, version 2 or 1: a group for each pod, outside the server's own unit, and one in it for each
container, which counts the container's memory kills.

Where they cannot be created (no permission, no hierarchy) `limits.py` uses rlimits.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.runtimes.pods import Limits
from danube_pkg.kit.records import Record

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


class Cgroups(Record):
    """The hierarchies in which pods get limits; none where control groups cannot be used."""

    hierarchies: tuple[Path, ...]
    unified: bool

    def make(self, pod_id: str, name: str, limits: Limits) -> Sequence[Path]:
        """Make a group of a pod, with the pod's limits; the `cgroup.procs` files to join, one for each hierarchy.

        name: a container's number, or `holder`.
        """
        found = []
        for hierarchy in self.hierarchies:
            pod = hierarchy / "danube" / pod_id
            directory = pod / name
            directory.mkdir(parents=True, exist_ok=True)
            if self.unified:
                for parent in (hierarchy, hierarchy / "danube", pod):
                    _write(parent / "cgroup.subtree_control", "+memory +pids +cpu")
            self._limit(pod, limits)
            found.append(directory / "cgroup.procs")
        return found

    def _limit(self, pod: Path, limits: Limits) -> None:
        quota = int(limits.cpu_cores * _PERIOD_US)
        wanted: dict[str, int | str] = {"pids.max": limits.processes}
        if limits.memory_bytes and self.unified:
            wanted |= {"memory.max": limits.memory_bytes, "memory.swap.max": 0}
        elif limits.memory_bytes:
            wanted |= {"memory.limit_in_bytes": limits.memory_bytes, "memory.memsw.limit_in_bytes": limits.memory_bytes}
        if quota and self.unified:
            wanted["cpu.max"] = f"{quota} {_PERIOD_US}"
        elif quota:
            wanted["cpu.cfs_quota_us"] = quota
        for name, value in wanted.items():
            if (pod / name).exists():
                (pod / name).write_text(str(value))

    def memory_kills(self, pod_id: str, container: int) -> int:
        """How many processes of that container the kernel has killed for memory; 0 where that is not counted."""
        for hierarchy in self.hierarchies:
            for name in ("memory.events", "memory.oom_control"):
                file = hierarchy / "danube" / pod_id / str(container) / name
                if file.exists():
                    counts = dict(line.split() for line in file.read_text().splitlines())
                    return int(counts.get("oom_kill", 0))
        return 0

    def _directories(self, pod_id: str) -> list[Path]:
        """The directories of one pod, inner ones first."""
        pods = [hierarchy / "danube" / pod_id for hierarchy in self.hierarchies]
        return [
            path
            for pod in pods
            if pod.is_dir()
            for path in (*(inner for inner in pod.iterdir() if inner.is_dir()), pod)
        ]

    def processes(self, pod_id: str) -> set[int]:
        """Every process of a pod, also of an interrupted creation that was not recorded."""
        found = {int(pid) for path in self._directories(pod_id) for pid in (path / "cgroup.procs").read_text().split()}
        return found - {0}  # the kernel writes 0 for a process outside this PID namespace

    def remove(self, pod_id: str) -> None:
        """Remove a pod's directories. Raises Unavailable while a process is in, or just joining, one of them."""
        for directory in self._directories(pod_id):
            try:
                directory.rmdir()
            except OSError as error:
                what = f"the control groups of pod {pod_id} are not empty yet"
                raise Unavailable("pod-busy", what, cause=str(error)) from error


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # pods run without the limits of a missing controller
        path.write_text(text)


def find_cgroups() -> Cgroups:
    """The hierarchies that this process may use: version 2, else memory, pids and cpu of version 1, else none."""
    if os.geteuid() != 0:
        return Cgroups((), unified=False)
    controllers = _ROOT / "cgroup.controllers"
    writable = os.access(_ROOT / "cgroup.procs", os.W_OK)  # not for root in a container without delegated groups
    if writable and controllers.exists() and "memory" in controllers.read_text().split():
        return Cgroups((_ROOT,), unified=True)
    usable = [_ROOT / name for name in ("memory", "pids", "cpu") if os.access(_ROOT / name / "cgroup.procs", os.W_OK)]
    return Cgroups(tuple(usable), unified=False)
