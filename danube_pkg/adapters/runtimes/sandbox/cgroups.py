"""Limits by control groups, version 2 or 1, outside of the server's own unit:

    danube/pods/DIRECTORY/POD/CONTAINER    each pod has its limits; all pods together leave the machine its share
    danube/proxies/DIRECTORY               the egress proxies of a server, with a higher weight than all pods

DIRECTORY is the id of the server's data directory, so that a server finds its own pods only. A container's group counts
its memory kills. Where groups cannot be created (no permission, no hierarchy) `limits.py` uses rlimits.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.machine_memory import memory_of_all_pods
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.runtimes.pods import Limits
from danube_pkg.kit.records import Record

_ROOT = Path("/sys/fs/cgroup")

CONTROLLERS = ("memory", "pids", "cpu")
"""Those with a limit of a pod."""
_PERIOD_US = 100_000

SHOWN = "/sys/fs/cgroup"
"""Where runtimes of languages look for the limits of their container (JVM, Go, .NET, Node.js)."""

_SHARES_OF_PODS, _SHARES_OF_PROXIES = 1024, 8192
"""Weights when the processor is short. `danube` has the default weight, that of a unit of the machine: so all pods
together have at most as much as the server's unit may have, and the proxies, which use little, precede all pods."""

_SHARES_OF_WEIGHT_100 = 1024
"""The default weight of version 2 is 100, that of version 1 is 1024."""

_KEPT_EMPTY_SECONDS = 600
"""A proxy joins its new group within milliseconds; the group of one that ended is removed after this time."""


class Cgroups(Record):
    """The hierarchies in which pods get limits; none where control groups cannot be used. directory: see above."""

    hierarchies: tuple[Path, ...]
    unified: bool
    directory: str = ""

    def limits_with(self, controller: str) -> bool:
        """Whether pods have limits by that controller. A kernel, or the unit of a container, may lack each of them; and
        of version 2 none can be enabled below a group that has processes, as the one that a container begins in."""
        if self.unified:
            return any(controller in _controllers(self._all_pods(hierarchy)) for hierarchy in self.hierarchies)
        return any(hierarchy.name == controller for hierarchy in self.hierarchies)

    def make(self, pod_id: str, name: str, limits: Limits) -> Sequence[Path]:
        """Make a pod with its limits, and a group in it; the `cgroup.procs` files to join, one for each hierarchy.

        name: of the group, as in `add`.
        """
        for hierarchy in self.hierarchies:
            all_pods = self._all_pods(hierarchy)
            with contextlib.suppress(OSError):  # pods of an earlier bound use more at the moment
                _set(all_pods, self._memory_limit(memory_of_all_pods()))
            pod = self._pod(hierarchy, pod_id)
            pod.mkdir(parents=True, exist_ok=True)
            for parent in (pod.parent, pod):
                self._enable_controllers(parent)
            _set(pod, self._limits(limits))
        return self._make_group(pod_id, name, limits)

    def add(self, pod_id: str, name: str, limits: Limits) -> Sequence[Path]:
        """Make a group in a pod, which has its limits; the `cgroup.procs` files to join, one for each hierarchy.

        name: a container's number, or `holder`. limits: of the pod, for one that is lost or was not made completely.
        """
        try:
            return self._make_group(pod_id, name, limits)
        except FileNotFoundError:
            return self.make(pod_id, name, limits)

    def _make_group(self, pod_id: str, name: str, limits: Limits) -> Sequence[Path]:
        """With the pod's limits too: a program in it reads those of its own group, and no others."""
        groups = [self._pod(hierarchy, pod_id) / name for hierarchy in self.hierarchies]
        for group in groups:
            group.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):  # the pod's own limits hold all the same
                _set(group, self._limits(limits))
        return [group / "cgroup.procs" for group in groups]

    def shown(self, pod_id: str, number: int) -> Sequence[tuple[Path, str]]:
        """The groups of a container in which its programs find their limits, each with the path for them."""
        if self.unified:
            return [(self._pod(hierarchy, pod_id) / str(number), SHOWN) for hierarchy in self.hierarchies]
        return [
            (self._pod(hierarchy, pod_id) / str(number), f"{SHOWN}/{hierarchy.name}")
            for hierarchy in self.hierarchies
            if hierarchy.name in CONTROLLERS
        ]

    def make_for_proxies(self) -> Sequence[Path]:
        """Make the group of the server's egress proxies; the `cgroup.procs` files to join."""
        found = []
        for hierarchy in self.hierarchies:
            parent = self._make_parent(hierarchy, "proxies", _SHARES_OF_PROXIES)
            for group in list(parent.iterdir()):
                if group.is_dir() and time.time() - group.stat().st_mtime > _KEPT_EMPTY_SECONDS:
                    with contextlib.suppress(OSError):  # a proxy runs in it
                        group.rmdir()
            (parent / self.directory).mkdir(exist_ok=True)
            found.append(parent / self.directory / "cgroup.procs")
        return found

    def _all_pods(self, hierarchy: Path) -> Path:
        return self._make_parent(hierarchy, "pods", _SHARES_OF_PODS)

    def _make_parent(self, hierarchy: Path, name: str, shares: int) -> Path:
        """`danube/pods` or `danube/proxies`, with their weights."""
        parent = hierarchy / "danube" / name
        parent.mkdir(parents=True, exist_ok=True)
        for directory in (hierarchy, hierarchy / "danube", parent):
            self._enable_controllers(directory)
        _set(parent, self._weight(shares))
        return parent

    def _enable_controllers(self, directory: Path) -> None:
        """Each by itself: the kernel refuses a line with one that it lacks as a whole."""
        for name in CONTROLLERS if self.unified else ():
            with contextlib.suppress(OSError):  # it is missing: see `limits_with`
                (directory / "cgroup.subtree_control").write_text(f"+{name}")

    def _weight(self, shares: int) -> Mapping[str, int]:
        return {"cpu.weight": shares * 100 // _SHARES_OF_WEIGHT_100} if self.unified else {"cpu.shares": shares}

    def _memory_limit(self, size_bytes: int) -> Mapping[str, int]:
        if self.unified:
            return {"memory.max": size_bytes, "memory.swap.max": 0}
        return {"memory.limit_in_bytes": size_bytes, "memory.memsw.limit_in_bytes": size_bytes}

    def _limits(self, limits: Limits) -> Mapping[str, int | str]:
        quota = int(limits.cpu_cores * _PERIOD_US)
        wanted: dict[str, int | str] = {"pids.max": limits.processes}
        if limits.memory_bytes:
            wanted |= self._memory_limit(limits.memory_bytes)
        if quota:
            wanted |= {"cpu.max": f"{quota} {_PERIOD_US}"} if self.unified else {"cpu.cfs_quota_us": quota}
        return wanted

    def _pod(self, hierarchy: Path, pod_id: str) -> Path:
        return hierarchy / "danube" / "pods" / self.directory / pod_id

    def memory_kills(self, pod_id: str, container: int) -> int:
        """How many processes of that container the kernel has killed for memory; 0 where that is not counted."""
        for hierarchy in self.hierarchies:
            for name in ("memory.events", "memory.oom_control"):
                file = self._pod(hierarchy, pod_id) / str(container) / name
                if file.exists():
                    counts = dict(line.split() for line in file.read_text().splitlines())
                    return int(counts.get("oom_kill", 0))
        return 0

    def pod_groups(self, pod_id: str) -> list[Path]:
        """The group of a pod in each hierarchy where it has one."""
        groups = (self._pod(hierarchy, pod_id) for hierarchy in self.hierarchies)
        return [group for group in groups if group.is_dir()]

    def container_groups(self, pod_id: str, number: int) -> list[Path]:
        """The group of a container in each hierarchy where it has one."""
        groups = (self._pod(hierarchy, pod_id) / str(number) for hierarchy in self.hierarchies)
        return [group for group in groups if group.is_dir()]

    def remove(self, pod_id: str) -> None:
        """Remove the groups of a pod. Raises Unavailable while a process is in, or just joining, one of them."""
        for group in self.pod_groups(pod_id):
            for directory in tree_of(str(group)):
                try:
                    os.rmdir(directory)
                except OSError as error:
                    what = f"the control groups of pod {pod_id} are not empty yet"
                    raise Unavailable("pod-busy", what, cause=str(error)) from error
            with contextlib.suppress(OSError):  # other pods of the directory exist
                group.parent.rmdir()


def _controllers(group: Path) -> Sequence[str]:
    """Those of version 2 that a group can have; none for a group of version 1."""
    try:
        return (group / "cgroup.controllers").read_text().split()
    except FileNotFoundError:
        return ()


def tree_of(group: str) -> Iterator[str]:
    """The paths of a group and of all in it, inner ones before outer ones."""
    with os.scandir(group) as entries:  # the kernel says of each whether it is a group: no call for each of its files
        inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in inner:
        yield from tree_of(path)
    yield group


def _set(group: Path, wanted: Mapping[str, int | str]) -> None:
    """Write the values whose files exist in this hierarchy. A limit below what is used cannot be set at once."""
    for name, value in wanted.items():
        if (group / name).exists():
            (group / name).write_text(str(value))


def find_cgroups(directory: str = "") -> Cgroups:
    """The hierarchies that this process may use: version 2, else those of version 1, else none.

    directory: the id of the data directory whose pods they are for.
    """
    if os.geteuid() != 0:
        return Cgroups((), unified=False)
    writable = os.access(_ROOT / "cgroup.procs", os.W_OK)  # not for root in a container without delegated groups
    if writable and "memory" in _controllers(_ROOT):
        return Cgroups((_ROOT,), unified=True, directory=directory)
    known = (*CONTROLLERS, "freezer")
    usable = [_ROOT / name for name in known if os.access(_ROOT / name / "cgroup.procs", os.W_OK)]
    return Cgroups(tuple(usable), unified=False, directory=directory)
