"""The guards of pods' disks: each sees its own pod, in time, whatever another pod's tree does to its guard."""

import asyncio
import logging
import os
import subprocess
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox.open_files import MAX_OPEN_FILES, unnamed_files
from danube_pkg.adapters.runtimes.sandbox.pod_disks import PodDisks
from danube_pkg.adapters.runtimes.sandbox.pod_files import ContainerRecord, PodDirectory, PodRecord, ProcessMark
from danube_pkg.adapters.runtimes.sandbox.workspace_sizes import WorkspaceSizes
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerEnded, ContainerRole, Limits, Network, PodEvent
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.tree_sizes import TreeSize, measure_trees
from tests.support.moved_clock import MovedClock
from tests.support.trees import make_deep
from tests.support.waiting import wait_until_async

MEGABYTE = 1 << 20
LIMITS = Limits(workspace_bytes=8 * MEGABYTE)
SECONDS = 5.0


class Guarded:
    """Pods that are directories with two processes each, the guards over them, and a clock that stands still."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = MovedClock(1_000.0)
        self.ended: list[ContainerEnded] = []
        self.pods: list[PodDirectory] = []
        self.children: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.sizes = WorkspaceSizes(
            lambda: self.pods,
            self._processes,
            PodDisks(directory),
            (),
            1.0,
            self._publish,
            Timing(self.clock, lambda: 0.5),
        )

    def _processes(self, pod: PodDirectory) -> Collection[int]:
        return [child.pid for child in self.children[pod.pod_id]]

    def _publish(self, event: PodEvent) -> None:
        assert isinstance(event, ContainerEnded)
        self.ended.append(event)

    def pod(self, name: str) -> PodDirectory:
        """A pod with a coordinator and a worker, which are processes that wait."""
        pod = PodDirectory(self.directory, name, "data")
        pod.workspace.mkdir(parents=True)
        children = self.children[name] = [
            subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(2)
        ]
        marks = [ProcessMark.of(child.pid) for child in children]
        for number, mark in enumerate(marks):
            assert mark is not None
            pod.container(number).mkdir(parents=True)
            role = ContainerRole.WORKER if number else ContainerRole.COORDINATOR
            pod.write_container(ContainerRecord(Container(name, number, role, "host"), f"job-{name}", mark))
        assert marks[0] is not None
        pod.write_pod(PodRecord(name, "data", f"job-{name}", marks[0], 0, Network.NONE, (), LIMITS, full_ids=True))
        self.pods.append(pod)
        return pod

    async def two_seconds(self) -> None:
        """As much time as a pod at its bound has, in turns of the guards."""
        for _ in range(2):
            await wait_until_async(self._all_wait, SECONDS, "every guard to wait for the clock")
            self.clock.move(1.0)

    def _all_wait(self) -> bool:
        guards = [task for task in asyncio.all_tasks() if task.get_name().startswith("disk of pod")]
        return self.clock.sleepers == len(guards) + 1

    async def wait_ended(self, pod: PodDirectory) -> Sequence[ContainerEnded]:
        await self.two_seconds()
        await wait_until_async(lambda: self.of(pod), SECONDS, "the end of a pod")
        return self.of(pod)

    def of(self, pod: PodDirectory) -> Sequence[ContainerEnded]:
        return [event for event in self.ended if event.pod_id == pod.pod_id]


@asynccontextmanager
async def guarding(guarded: Guarded) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(guarded.sizes.watch(), name="watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        guarded.sizes.close()


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    made = Guarded(tmp_path)
    async with guarding(made):
        yield made
    for child in (child for children in made.children.values() for child in children):
        child.kill()
        child.communicate()


def written(path: Path, size_bytes: int) -> None:
    path.write_bytes(b"x" * size_bytes)


async def test_a_pod_near_its_bound_ends_within_two_seconds_and_others_continue(guarded: Guarded) -> None:
    full, other = guarded.pod("full"), guarded.pod("other")
    written(other.workspace / "file", 6 * MEGABYTE)
    written(full.workspace / "file", 7 * MEGABYTE)
    ended = await guarded.wait_ended(full)
    assert [event.container.number for event in ended] == [0, 1], "the coordinator first: its end decides the job's"
    assert {event.reason for event in ended} == {Reason.WORKSPACE_FULL}
    assert ended[0].message == "its workspace holds 7 MB, the limit is 8 MB"
    assert [child.wait() for child in guarded.children["full"]] == [-9, -9]
    await guarded.two_seconds()
    assert guarded.of(other) == []


@pytest.mark.parametrize("place", ["c/1/upper", "c/1/tmp", "c/0/home", "c/1/root"])
async def test_every_directory_that_programs_write_to_counts(guarded: Guarded, place: str) -> None:
    pod = guarded.pod("pod")
    (pod.path / place).mkdir()
    written(pod.path / place / "file", 8 * MEGABYTE)
    assert (await guarded.wait_ended(pod))[0].reason is Reason.WORKSPACE_FULL


async def test_files_without_content_count_by_their_number(guarded: Guarded) -> None:
    pod = guarded.pod("pod")
    for number in range(LIMITS.workspace_inodes):
        os.close(os.open(pod.workspace / str(number), os.O_CREAT))
    most = LIMITS.workspace_inodes
    message = (await guarded.wait_ended(pod))[0].message
    assert message.startswith("its workspace has ")
    assert message.endswith(f" files and directories, the limit is {most}")


async def test_an_open_file_without_a_name_counts(guarded: Guarded) -> None:
    """The children of this test inherit nothing, so the test itself is the process of the pod that has it open."""
    pod = guarded.pod("pod")
    guarded.children["pod"].append(unlinking := _holder_of_unlinked(pod.workspace / "file", 8 * MEGABYTE))
    assert not list(pod.workspace.iterdir())
    assert (await guarded.wait_ended(pod))[0].message == "its workspace holds 8 MB, the limit is 8 MB"
    unlinking.kill()


def _holder_of_unlinked(path: Path, size_bytes: int) -> "subprocess.Popen[bytes]":
    with path.open("wb") as file:
        file.write(b"x" * size_bytes)
        file.flush()
        child = subprocess.Popen(
            ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(file.fileno(),)
        )
    path.unlink()
    return child


async def test_a_copied_image_does_not_count(guarded: Guarded) -> None:
    pod = guarded.pod("pod")
    (pod.container(1) / "root").mkdir()
    written(pod.container(1) / "root" / "image", 20 * MEGABYTE)
    pod.write_copied(1, 20 * MEGABYTE)
    await guarded.two_seconds()
    assert guarded.ended == []
    written(pod.workspace / "file", 8 * MEGABYTE)
    assert await guarded.wait_ended(pod)


async def test_a_tree_of_any_depth_ends_no_guard(guarded: Guarded) -> None:
    deep, full = guarded.pod("deep"), guarded.pod("full")
    make_deep(deep.workspace / "top", 1_100, "d" * 10)
    await guarded.two_seconds()
    written(full.workspace / "file", 8 * MEGABYTE)
    assert await guarded.wait_ended(full)
    assert guarded.of(deep) == []
    deep.remove()
    assert not deep.path.exists()


async def test_a_tree_that_cannot_be_measured_counts_as_too_large(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = guarded.pod("broken"), guarded.pod("other")

    def usage(directories: Sequence[Path], most: TreeSize) -> TreeSize:
        if directories[0] == broken.workspace:
            return TreeSize(1, 1, "Input/output error")
        return measure_trees(directories, most)

    monkeypatch.setattr("danube_pkg.adapters.runtimes.sandbox.workspace_sizes.measure_trees", usage)
    ended = await guarded.wait_ended(broken)
    assert ended[0].message == "its workspace cannot be measured (Input/output error)"
    await guarded.two_seconds()
    assert guarded.of(other) == []


async def test_a_guard_that_fails_is_logged_and_continues_and_others_see_nothing(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even a bug in the measurement of one pod leaves any pod without its guard."""
    failing, full = guarded.pod("failing"), guarded.pod("full")
    is_broken = True

    def usage(directories: Sequence[Path], most: TreeSize) -> TreeSize:
        if directories[0] == failing.workspace and is_broken:
            raise RecursionError("maximum recursion depth exceeded")
        return measure_trees(directories, most)

    monkeypatch.setattr("danube_pkg.adapters.runtimes.sandbox.workspace_sizes.measure_trees", usage)
    with caplog.at_level(logging.ERROR, "danube.sandbox"):
        written(failing.workspace / "file", 8 * MEGABYTE)
        written(full.workspace / "file", 8 * MEGABYTE)
        assert await guarded.wait_ended(full)
        await wait_until_async(lambda: "disk-check-failed" in caplog.messages, SECONDS, "the log entry")
    assert guarded.of(failing) == []
    is_broken = False
    for _ in range(4):  # the pause after a failure has grown up to five seconds
        await guarded.two_seconds()
    assert guarded.of(failing)


async def test_a_pod_that_is_removed_has_no_guard_any_more(guarded: Guarded) -> None:
    pod = guarded.pod("pod")
    await guarded.two_seconds()
    guarded.pods.clear()
    await guarded.two_seconds()
    assert [task for task in asyncio.all_tasks() if task.get_name() == f"disk of pod {pod.pod_id}"] == []


def test_files_in_memory_are_not_on_the_disk() -> None:
    """They count as memory, by the pod's control group or the size of their file system."""
    before = unnamed_files([os.getpid()])
    anonymous = os.memfd_create("danube")
    shared = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)
    try:
        for descriptor in (anonymous, shared):
            os.write(descriptor, b"x" * MEGABYTE)
        assert unnamed_files([os.getpid()]) == before
    finally:
        os.close(anonymous)
        os.close(shared)


def test_open_files_that_cannot_be_read_are_a_problem_and_never_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has ended and was not waited for has none, and no user may read that either."""
    listdir, living = os.listdir, os.getpid()
    ended = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)

    def refuse(path: str) -> list[str]:
        if path in (f"/proc/{living}/fd", f"/proc/{ended.pid}/fd"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    found = unnamed_files([living, ended.pid])
    assert found.unreadable == (living,)
    assert found.total.problem == f"the open files of process {living} cannot be read"
    assert ended.wait(10) == 0


def test_too_many_open_files_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unnamed_files([os.getpid(), 2**22 + 1]).total.problem == ""
    monkeypatch.setattr("danube_pkg.adapters.runtimes.sandbox.open_files.MAX_OPEN_FILES", 3)
    assert unnamed_files([os.getpid()]).problem == "its processes have more than 3 open files"
    assert MAX_OPEN_FILES > 4096
