"""A file system for each pod: the kernel limits its bytes and files, whatever a program does with them.

As an ordinary user pods have none, nor as root on a machine without loop devices: the tests then show what holds all
the same, and a warning says that they did.
"""

import asyncio
import os
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import disk_images, pod_disks
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.pod_disks import PodDisks, image_bytes
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerEnded, Limits, PodEvent, PodNotice
from tests.adapters.runtimes.sandbox.pods import Pods, new_pod_id, new_runtime, next_event, spec_of
from tests.support.waiting import wait_until_async

MEGABYTE = 1 << 20
SMALL = Limits(workspace_bytes=16 * MEGABYTE)


@pytest.fixture
async def limited(tmp_path: Path) -> bool:
    """Whether this machine gives pods file systems of their own; where root has none, a warning says why."""
    problem = await PodDisks(tmp_path / "tried").problem()
    if has_ids_for_pods() and problem:
        warnings.warn(f"this machine cannot show what the kernel limits: {problem}", stacklevel=1)
    return not problem


def mounts_of(pods: Pods) -> Sequence[str]:
    with open("/proc/self/mountinfo") as lines:
        return [line.split()[4] for line in lines if str(pods.data) in line.split()[4]]


def loop_devices(data: Path) -> Sequence[str]:
    """Files below a directory that a loop device has open; one that is deleted has `(deleted)` behind its name."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found.append(backing.read_text())
        except OSError:
            continue
    return [file for file in found if str(data) in file]


async def free_megabytes(pods: Pods, worker: Container) -> int:
    code, printed = await pods.shell(worker, "df -Pm /workspace | tail -1 | awk '{print $4}'")
    assert code == 0
    return int(printed)


async def test_the_kernel_refuses_what_exceeds_the_limit(pods: Pods, limited: bool) -> None:
    _, worker = await pods.pod(limits=SMALL)
    write = "exec 7>f; rm f; head -c 30000000 /dev/zero >&7"
    code, printed = await pods.shell(worker, write)
    assert (code != 0, b"No space left on device" in printed) == (limited, limited)


async def test_the_limit_can_be_used_up(pods: Pods, limited: bool) -> None:
    for megabytes in (16, 200, 1024):
        _, worker = await pods.pod(limits=Limits(workspace_bytes=megabytes * MEGABYTE))
        if limited:
            assert megabytes <= await free_megabytes(pods, worker) <= 1.1 * megabytes + 8


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("head -c 30000000 /dev/zero > f", "the limit is 16 MB"),
        ("exec 7>f; rm f; head -c 30000000 /dev/zero >&7; sleep 1000", "the limit is 16 MB"),
        ("seq 5000 | xargs touch", "files and directories, the limit is 4096"),
        ("seq 5000 | xargs mkfifo", "files and directories, the limit is 4096"),
    ],
    ids=["bytes", "unlinked", "files", "pipes"],
)
async def test_a_pod_at_its_limit_ends_and_others_continue(
    pods: Pods, limited: bool, command: str, message: str
) -> None:
    _, worker = await pods.pod(limits=SMALL)
    _, other = await pods.pod(limits=SMALL)
    async with pods.runtime.watch() as events:
        stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", f"{command}; true; sleep 1000"))
        for number in (0, 1):
            event = await next_event(events, ContainerEnded)
            assert isinstance(event, ContainerEnded)
            assert (event.pod_id, event.container.number) == (worker.pod_id, number)
            assert event.reason is Reason.WORKSPACE_FULL
            assert message in event.message
        await stream.close()
        assert await pods.shell(other, "echo x > f; cat f") == (0, b"x\n")
    await pods.runtime.delete_pod(worker.pod_id)
    assert [path.name for path in (pods.data / "pods").iterdir()] == [other.pod_id]
    assert len(mounts_of(pods)) == (1 if limited else 0)


async def test_the_end_of_a_step_finds_a_full_disk_at_once(pods: Pods, limited: bool) -> None:
    """Before a check of the watch: the job must not end with the error that the step made of it."""
    coordinator, worker = await pods.pod(limits=SMALL)
    await pods.shell(worker, "head -c 10000000 /dev/zero > f")
    assert await pods.runtime.workspace_full(worker) == ""
    await pods.shell(worker, "head -c 30000000 /dev/zero > g || true")
    assert ("the limit is 16 MB" in await pods.runtime.workspace_full(worker)) == limited
    if limited:
        ended = partial(pods.runtime.container_process, coordinator)
        await wait_until_async(lambda: ended() is None, 20, "the end of the coordinator")


async def test_nothing_of_a_removed_pod_is_left_while_others_run(pods: Pods, limited: bool) -> None:
    """Neither the space, nor the loop device, which another pod's mount namespace could keep.

    A container of any program on the machine that is just starting has a copy of all mounts for some milliseconds.
    """
    _, first = await pods.pod(limits=SMALL)
    _, second = await pods.pod(limits=SMALL)
    await pods.runtime.delete_pod(first.pod_id)
    left = 1 if limited else 0
    await wait_until_async(lambda: len(loop_devices(pods.data)) == left, 20, "the first pod's loop device to go")
    await pods.runtime.delete_pod(second.pod_id)
    assert mounts_of(pods) == []
    await wait_until_async(lambda: loop_devices(pods.data) == [], 20, "the second pod's loop device to go")
    assert not (pods.data / "disks").exists() or list((pods.data / "disks").iterdir()) == []


async def test_a_server_with_another_view_of_mounts_finds_the_pod(pods: Pods, limited: bool) -> None:
    """A service that systemd starts with PrivateTmp has mounts of its own, which end with it; pods keep theirs."""
    _, worker = await pods.pod(limits=SMALL)
    await pods.shell(worker, "echo kept > f")
    await pods.runtime.close()
    if limited:
        umount = await asyncio.create_subprocess_exec("umount", "--lazy", str(pods.data / "pods" / worker.pod_id))
        assert await umount.wait() == 0
    restarted = new_runtime(pods.data)
    found = {state.pod_id: state for state in await restarted.list_pods()}
    assert worker in found[worker.pod_id].containers
    assert (pods.data / "pods" / worker.pod_id / "workspace" / "f").read_text() == "kept\n"
    await restarted.close()


async def test_fsync_in_a_pod_does_not_wait_for_the_disk_of_the_machine(pods: Pods, limited: bool) -> None:
    """Nor do mount and umount: the kernel would write what all other processes have written first."""
    await pods.pod(limits=SMALL)
    with open("/proc/self/mountinfo") as lines:
        options = [line.split()[-1] for line in lines if str(pods.data) in line]
    assert ["nobarrier" in one.split(",") for one in options] == ([True] if limited else [])


async def test_a_copy_of_the_data_directory_has_no_image(pods: Pods, limited: bool) -> None:
    """It would have the size of all that the pods may write."""
    await pods.pod(limits=SMALL)
    found = list((pods.data / "disks").iterdir()) if (pods.data / "disks").exists() else []
    assert (found, len(mounts_of(pods))) == ([], 1 if limited else 0)


async def test_an_image_of_an_interrupted_creation_is_removed(pods: Pods) -> None:
    (pods.data / "disks").mkdir(exist_ok=True)
    left = pods.data / "disks" / "gone.ext4"
    left.touch()
    await new_runtime(pods.data).close()
    assert not left.exists()


async def notices(pods: Pods, limits: Limits, count: int) -> Sequence[str]:
    async with pods.runtime.watch() as events:
        await pods.runtime.create_pod(spec_of(new_pod_id(), limits=limits))
        found: list[PodEvent] = [await next_event(events, PodNotice) for _ in range(count)]
        return [event.message for event in found if isinstance(event, PodNotice)]


async def test_the_job_learns_where_its_disk_is_only_measured(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reservation that would leave the server without space is not made, and the pod runs all the same."""
    monkeypatch.setattr(disk_images, "LOW_DISK_BYTES", 1 << 60)
    is_root = has_ids_for_pods()
    found = await notices(pods, SMALL, 1 if os.geteuid() == 0 else 2)
    cause = f"the disk has no room to reserve {image_bytes(SMALL) >> 20} MB" if is_root else "only root can"
    assert found[-1].startswith(
        f"limits: the pod's disk is measured every second and not limited by the kernel: {cause}"
    )
    assert mounts_of(pods) == []


async def test_each_lack_of_the_machine_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limited: bool
) -> None:
    disks = PodDisks(tmp_path)
    assert (await disks.problem() == "") == limited
    assert list(tmp_path.iterdir()) == [tmp_path / "tried"] or list(tmp_path.iterdir()) == []
    monkeypatch.setattr(pod_disks, "has_ids_for_pods", lambda: True)
    monkeypatch.setattr("platform.release", lambda: "5.10.0-30-amd64")
    assert await disks.problem() == "Linux 5.10.0-30-amd64 is older than 5.19"
    monkeypatch.setattr("platform.release", lambda: "6.12.1")
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    assert await disks.problem() == "mkfs.ext4 is not installed"


async def test_pods_that_start_together_each_get_their_own(pods: Pods, limited: bool) -> None:
    workers = [worker for _, worker in await asyncio.gather(*(pods.pod(limits=SMALL) for _ in range(6)))]
    assert len(mounts_of(pods)) == (6 if limited else 0)
    for worker in workers:
        assert await pods.shell(worker, "ls -A; touch own") == (0, b"")
