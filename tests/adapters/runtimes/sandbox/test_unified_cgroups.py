"""Version 2 of control groups, on a mount of its own beside whatever the machine uses.

Where version 1 has the controllers, version 2 lacks them: ends and names are real then, and limits are those of a
directory with the same files.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.runtimes.sandbox import cgroups, group_end, limits
from danube_pkg.adapters.runtimes.sandbox.cgroups import Cgroups
from danube_pkg.adapters.runtimes.sandbox.group_end import end_groups, processes_of
from danube_pkg.adapters.runtimes.sandbox.limits import PodLimits
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Limits
from tests.adapters.runtimes.sandbox.pods import EVENT_SECONDS, Pods, open_pods
from tests.support.waiting import wait_until, wait_until_async

BUSY = "trap '' TERM; for i in 1 2 3 4 5; do (while :; do /bin/true; done) & done; wait"
"""Processes that start others all the time, in a bounded number."""


@pytest.fixture
def hierarchy(tmp_path: Path) -> Iterator[Path]:
    """A mount of version 2."""
    top = tmp_path / "cgroup2"
    top.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", top], check=True)
    try:
        yield top
    finally:
        subprocess.run(["umount", "--lazy", top], check=True)


@pytest.fixture
def groups(hierarchy: Path) -> Iterator[Cgroups]:
    name = f"test-{os.urandom(6).hex()}"
    yield Cgroups((hierarchy,), unified=True, directory=name)
    assert not (hierarchy / "danube" / "pods" / name).exists()


def start(files: Sequence[Path]) -> "subprocess.Popen[bytes]":
    """A shell in these groups, with children that start others."""
    join = "".join(f"echo $$ > {file}; " for file in files)
    shell = subprocess.Popen(["/bin/sh", "-c", join + BUSY])
    groups = [file.parent for file in files]
    wait_until(lambda: len(processes_of(groups)) > 4, 20, "processes in the group")
    return shell


async def end(groups: Cgroups, pod_id: str, shell: "subprocess.Popen[bytes]") -> None:
    with pytest.raises(Unavailable, match="control groups"):
        groups.remove(pod_id)
    async with asyncio.timeout(EVENT_SECONDS):
        await end_groups(groups.pod_groups(pod_id), "the pod")
    assert processes_of(groups.pod_groups(pod_id)) == set()
    assert shell.wait(20) == -9
    groups.remove(pod_id)
    assert groups.pod_groups(pod_id) == []


async def test_the_kernel_kills_a_group(groups: Cgroups) -> None:
    shell = start(groups.make("pod", "1", Limits(processes=100)))
    assert (groups.pod_groups("pod")[0] / "cgroup.kill").exists()
    await end(groups, "pod", shell)


async def test_a_group_is_frozen_where_the_kernel_cannot_kill_it(
    groups: Cgroups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux before 5.14 has no `cgroup.kill`."""
    frozen: list[bool] = []
    kill = group_end._kill

    def seen(of: Sequence[Path]) -> None:
        frozen.append(all(map(group_end._is_frozen, of)))
        kill(of)

    monkeypatch.setattr(group_end, "KILL_FILE", "cgroup.missing")
    monkeypatch.setattr(group_end, "_kill", seen)
    shell = start(groups.make("pod", "1", Limits()))
    await end(groups, "pod", shell)
    assert frozen[0]


async def test_other_containers_of_the_pod_continue(groups: Cgroups) -> None:
    first, second = (start(groups.make("pod", name, Limits())) for name in ("1", "2"))
    await end_groups(groups.container_groups("pod", 1), "the container")
    assert first.wait(20) == -9
    assert len(processes_of(groups.container_groups("pod", 2))) > 1
    await end(groups, "pod", second)


def test_a_missing_controller_does_not_take_the_others_with_it(
    groups: Cgroups, hierarchy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses a line of controllers as a whole."""
    known = (hierarchy / "cgroup.controllers").read_text().split()[:1]  # any, or none where version 1 has all
    monkeypatch.setattr(cgroups, "CONTROLLERS", ("none-such", *known, "none-such-either"))
    groups.make("pod", "1", Limits())
    (pod,) = groups.pod_groups("pod")
    assert (pod / "cgroup.subtree_control").read_text().split() == known
    assert all(map(groups.limits_with, known))
    assert not groups.limits_with("none-such")
    groups.remove("pod")


def test_controllers_that_cannot_be_enabled_limit_nothing(
    groups: Cgroups, hierarchy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of a container's hierarchy has them all, and the server's own processes: the kernel enables none below
    it. Without a controller that version 1 leaves free this is proven with names of files alone (below)."""
    available = (hierarchy / "cgroup.controllers").read_text().split()
    monkeypatch.setattr(cgroups, "CONTROLLERS", ("memory", *available))
    top = hierarchy / f"test-{os.urandom(6).hex()}"
    for name in available:
        (hierarchy / "cgroup.subtree_control").write_text(f"+{name}")
    top.mkdir()
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    (top / "cgroup.procs").write_text(str(process.pid))
    found = Cgroups((top,), unified=True, directory="id")
    try:
        found.make("pod", "1", Limits())
        assert (top / "cgroup.controllers").read_text().split() == available
        assert [name for name in ("memory", *available) if found.limits_with(name)] == []
        found.remove("pod")
    finally:
        process.kill()
        process.communicate()
        for group in ("danube/pods", "danube", "."):
            wait_until_removed(top / group)


def wait_until_removed(group: Path) -> None:
    """A group can be removed when its last process has been reaped."""

    def is_removed() -> bool:
        try:
            group.rmdir()
        except OSError:
            return not group.exists()
        return True

    wait_until(is_removed, 20, f"{group} to be removed")


def test_limits_without_files_are_those_of_each_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    found = Cgroups((tmp_path,), unified=True, directory="id")
    found.make("pod", "1", Limits(memory_bytes=512 << 20))
    assert not found.limits_with("memory")
    monkeypatch.setattr(limits, "find_cgroups", lambda directory: found)
    assert f"as={512 << 20}" in PodLimits("id").rlimits(Limits(memory_bytes=512 << 20))
    assert "the whole pod" in PodLimits("id").notice(Limits())


def test_what_control_groups_lack_is_limited_for_each_process(
    groups: Cgroups, hierarchy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "find_cgroups", lambda directory: groups)
    found = PodLimits("id").rlimits(Limits(memory_bytes=512 << 20, processes=99))
    known = (hierarchy / "cgroup.controllers").read_text().split()
    assert (f"as={512 << 20}" in found) == ("memory" not in known)
    assert ("nproc=99" in found) == ("pids" not in known)
    lacks = "no control groups for memory, so the memory of" in PodLimits("id").notice(Limits())
    assert lacks == ("memory" not in known)


def test_limits_have_the_files_of_version_2(tmp_path: Path) -> None:
    files = ("cgroup.subtree_control", "memory.max", "memory.swap.max", "pids.max", "cpu.max", "cpu.weight")
    places = ("", "danube", "danube/pods", "danube/pods/id", "danube/pods/id/pod")
    for place in places:
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "cgroup.controllers").write_text("cpu memory pids\n")
        for name in files:
            (tmp_path / place / name).touch()
    found = Cgroups((tmp_path,), unified=True, directory="id")
    (procs,) = found.make("pod", "3", Limits(memory_bytes=1 << 30, cpu_cores=1.5, processes=77))
    assert procs == tmp_path / "danube/pods/id/pod/3/cgroup.procs"
    pod = procs.parents[1]
    values = {name: (pod / name).read_text() for name in files}
    assert values == {
        "cgroup.subtree_control": "+cpu",  # the last of three writes
        "memory.max": str(1 << 30),
        "memory.swap.max": "0",
        "pids.max": "77",
        "cpu.max": "150000 100000",
        "cpu.weight": "",
    }
    assert (tmp_path / "danube/pods/cpu.weight").read_text() == "100"
    assert int((tmp_path / "danube/pods/memory.max").read_text()) > 0
    assert all(found.limits_with(name) for name in ("memory", "pids", "cpu"))
    (pod / "pids.max").write_text("as it is")
    assert list(found.add("pod", "4", Limits())) == [pod / "4" / "cgroup.procs"]
    assert (pod / "pids.max").read_text() == "as it is"


def test_a_container_of_a_pod_whose_group_is_lost_gets_it_again(groups: Cgroups) -> None:
    groups.make("pod", "holder", Limits())
    groups.remove("pod")
    (procs,) = groups.add("pod", "1", Limits())
    assert groups.pod_groups("pod") == [procs.parents[1]]
    assert groups.container_groups("pod", 1) == [procs.parent]
    groups.remove("pod")


def test_memory_kills_of_a_container_are_those_of_its_own_group(tmp_path: Path) -> None:
    """`memory.events` of the kernel's document: the counts of a group contain those of the groups in it."""
    found = Cgroups((tmp_path,), unified=True, directory="id")
    for name, kills in (("", 3), ("1", 0), ("2", 3)):
        group = tmp_path / "danube/pods/id/pod" / name
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom 1\noom_kill {kills}\noom_group_kill 0\n")
    assert [found.memory_kills("pod", number) for number in (1, 2, 3)] == [0, 3, 0]


@pytest.mark.parametrize(
    ("controllers", "unified"), [("cpuset cpu io memory pids\n", True), ("hugetlb\n", False), (None, False)]
)
def test_version_2_is_used_where_it_has_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: str | None, unified: bool
) -> None:
    monkeypatch.setattr(cgroups, "_ROOT", tmp_path)
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    if controllers is not None:
        (tmp_path / "cgroup.controllers").write_text(controllers)
        (tmp_path / "cgroup.procs").touch()
    found = cgroups.find_cgroups("id")
    assert (found.unified, found.directory) == (unified, "id")
    assert found.hierarchies == ((tmp_path,) if unified else (tmp_path / "memory", tmp_path / "pids"))


@pytest_asyncio.fixture
async def unified(tmp_path: Path, hierarchy: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pods]:
    """Pods whose control groups are those of version 2."""

    def find(directory: str) -> Cgroups:
        return Cgroups((hierarchy,), unified=True, directory=directory)

    monkeypatch.setattr(limits, "find_cgroups", find)
    async with open_pods(tmp_path / "data") as made:
        yield made


async def test_pods_live_and_end_in_groups_of_version_2(unified: Pods, hierarchy: Path) -> None:
    _, worker = await unified.pod(limits=Limits(processes=100))
    _, other = await unified.pod()
    stream = await unified.runtime.exec(worker, ("/bin/sh", "-c", BUSY))
    (group,) = hierarchy.glob(f"danube/pods/*/{worker.pod_id}")
    await wait_until_async(lambda: len(processes_of([group])) > 6, EVENT_SECONDS, "processes in the pod's group")
    await stream.close()
    await unified.runtime.end_container(worker, Reason.POD_LOST, "it was ended")
    assert processes_of([group / str(worker.number)]) == set()
    assert processes_of([group]) != set()
    await unified.runtime.delete_pod(worker.pod_id)
    assert not group.exists()
    assert await unified.shell(other, "echo lives") == (0, b"lives\n")
