"""Limits of a pod: what stops a step that uses too much, and what the server learns of it."""

import errno
import os
import re
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, PodRecord
from danube_pkg.core.errors import StorageFull, Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerEnded, Limits, PodNotice
from danube_pkg.kit.directory_identity import identify
from tests.adapters.runtimes.sandbox.pods import (
    Pods,
    has_subordinate_ids,
    new_pod_id,
    new_runtime,
    next_event,
    spec_of,
)
from tests.support.capabilities import may_lower_oom_score

MEGABYTE = 1 << 20
ROOT = os.geteuid() == 0

TAKE_MEMORY = "taken = bytearray(512 << 20); print(len(taken))"


async def test_too_much_memory_ends_the_program_and_not_the_container(pods: Pods) -> None:
    """With control groups the kernel counts the kill; with rlimits the program's allocation fails."""
    _, worker = await pods.pod(limits=Limits(memory_bytes=256 * MEGABYTE))
    before = await pods.runtime.memory_kills(worker)
    code, printed = await pods.python(worker, TAKE_MEMORY)
    assert (before, str(512 << 20).encode() in printed) == (0, False)
    assert code == (128 + 9 if ROOT else 1)
    assert await pods.runtime.memory_kills(worker) == (1 if ROOT else 0)
    assert await pods.shell(worker, "true") == (0, b"")


async def test_programs_find_the_limits_of_their_pod_where_they_read_them(pods: Pods) -> None:
    """By the files of version 2 of control groups or those of version 1; lscpu reads /sys too."""
    _, worker = await pods.pod(limits=Limits(memory_bytes=256 * MEGABYTE, cpu_cores=1.5))
    shown = "cd /sys/fs/cgroup && cat memory.max cpu.max 2>&- || cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us"
    code, printed = await pods.shell(worker, shown)
    if ROOT:
        assert (code, printed.split()[:2]) == (0, [str(256 * MEGABYTE).encode(), b"150000"]), printed
        assert await pods.shell(worker, "cut -d: -f3 /proc/self/cgroup | sort -u") == (0, b"/\n")
        code, printed = await pods.shell(
            worker, "echo max > $(ls -d /sys/fs/cgroup/*memory*/*limit_in_bytes | head -1)"
        )
        assert code != 0, "limits are the server's"
    else:
        assert code != 0
    code, printed = await pods.shell(worker, "cat /sys/devices/system/cpu/online && ls /sys/devices/system")
    assert (code, printed.split()[1:]) == (0, [b"cpu"])


async def test_a_memory_kill_counts_for_its_container_only(pods: Pods) -> None:
    coordinator, worker = await pods.pod(limits=Limits(memory_bytes=256 * MEGABYTE))
    await pods.python(worker, TAKE_MEMORY)
    assert await pods.runtime.memory_kills(coordinator) == 0


async def test_when_memory_is_short_every_process_of_a_pod_ends_before_the_server(pods: Pods) -> None:
    _, worker = await pods.pod()
    outside = [pods.runtime.holder_process(worker.pod_id), pods.runtime.container_process(worker)]
    assert [int(Path(f"/proc/{process}/oom_score_adj").read_text()) for process in outside] == [800, 800]
    assert await pods.shell(worker, "cat /proc/self/oom_score_adj") == (0, b"800\n")
    if may_lower_oom_score():
        code, _ = await pods.shell(worker, "echo 0 > /proc/self/oom_score_adj")
        assert code != 0, "a step lowers what was given by root"


@pytest.mark.parametrize("limit", [60])
async def test_the_number_of_processes_is_limited(pods: Pods, limit: int) -> None:
    """A fork bomb reaches the limit of its pod, which works afterwards; the machine is not affected."""
    _, worker = await pods.pod(limits=Limits(processes=limit))
    code, printed = await pods.python(
        worker,
        "import os, signal\n"
        "children = []\n"
        "try:\n"
        "    while len(children) < 500:\n"
        "        child = os.fork()\n"
        "        if child == 0: signal.pause()\n"
        "        children.append(child)\n"
        "except BlockingIOError: pass\n"
        "for child in children: os.kill(child, signal.SIGKILL)\n"
        "print(len(children))\n",
    )
    assert code == 0, printed
    assert limit / 2 < int(printed) < limit
    assert await pods.shell(worker, "true") == (0, b"")


async def test_a_full_workspace_ends_the_pods_containers(pods: Pods) -> None:
    coordinator, worker = await pods.pod(limits=Limits(workspace_bytes=8 * MEGABYTE))
    async with pods.runtime.watch() as events:
        stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", "head -c 20000000 /dev/zero > big; sleep 1000"))
        ended = set()
        for _ in range(2):
            event = await next_event(events, ContainerEnded)
            assert isinstance(event, ContainerEnded)
            assert event.reason is Reason.WORKSPACE_FULL
            holds = re.search(r"holds (\d+) MB, the limit is 8 MB", event.message)
            assert holds, event.message
            assert 7 <= int(holds[1]) <= 20, "it may be measured while it still grows"
            ended.add(event.container)
        await stream.close()
    assert ended == {coordinator, worker}


async def ends_as_full(pods: Pods, command: str) -> Container:
    """Runs a command in a pod with a small disk, which must end for it; the pod's worker."""
    _, worker = await pods.pod(limits=Limits(workspace_bytes=8 * MEGABYTE))
    async with pods.runtime.watch() as events:
        stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", f"{command}; sleep 1000"))
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert event.reason is Reason.WORKSPACE_FULL, event.message
        await stream.close()
    return worker


@pytest.mark.parametrize(
    "command",
    [
        "exec 7>f; rm f; head -c 20000000 /dev/zero >&7",
        "exec 7>/tmp/f; rm /tmp/f; head -c 20000000 /dev/zero >&7",
        "seq -f 'e%.0f' 10000 | xargs touch",
        "mkdir d; head -c 20000000 /dev/zero > d/f; chmod 0 d",
    ],
    ids=["unlinked", "unlinked in /tmp", "inodes", "closed directory"],
)
async def test_no_way_of_writing_escapes_the_limit(pods: Pods, command: str) -> None:
    worker = await ends_as_full(pods, command)
    await pods.runtime.delete_pod(worker.pod_id)
    assert list((pods.data / "pods").iterdir()) == []


async def test_a_deep_tree_is_measured_and_removed(pods: Pods) -> None:
    dig = "import os\nfor _ in range(1100):\n    os.mkdir('d' * 9); os.chdir('d' * 9)"
    deep = f'cd /workspace; python3 -c "{dig}"; head -c 20000000 /dev/zero > f'
    worker = await ends_as_full(pods, deep)
    await pods.runtime.delete_pod(worker.pod_id)
    assert list((pods.data / "pods").iterdir()) == []


async def test_directories_that_the_server_cannot_read_count_and_are_removed(pods: Pods) -> None:
    """Where a step can change owners, it can give a directory to a user whose files the server cannot read."""
    _, worker = await pods.pod(limits=Limits(workspace_bytes=8 * MEGABYTE))
    async with pods.runtime.watch() as events:
        give_away = "mkdir d && head -c 20000000 /dev/zero > d/big; chown -R 5:6 d; chmod 700 d; sleep 1000"
        stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", give_away))
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert event.reason is Reason.WORKSPACE_FULL
        await stream.close()
    await pods.runtime.delete_pod(worker.pod_id)
    assert list((pods.data / "pods").iterdir()) == []


async def test_a_workspace_is_still_checked_after_a_restart(pods: Pods) -> None:
    _, worker = await pods.pod(limits=Limits(workspace_bytes=8 * MEGABYTE))
    await pods.runtime.close()
    restarted = new_runtime(pods.data)
    async with restarted.watch() as events:
        stream = await restarted.exec(worker, ("/bin/sh", "-c", "head -c 20000000 /dev/zero > big"))
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert event.reason is Reason.WORKSPACE_FULL
        await stream.close()  # the container may end before the shell's exit is reported, so that is not awaited
    await restarted.close()


async def test_the_job_gets_a_notice_where_only_weaker_limits_apply(pods: Pods) -> None:
    async with pods.runtime.watch() as events:
        coordinator = await pods.runtime.create_pod(spec_of(new_pod_id(), limits=Limits(memory_bytes=256 * MEGABYTE)))
        process = pods.runtime.container_process(coordinator)
        if ROOT:
            with open(f"/proc/{process}/cgroup") as groups:
                assert f"/danube/pods/{identify(pods.data).id}/{coordinator.pod_id}/0" in groups.read()
        else:
            notice = await next_event(events, PodNotice)
            assert isinstance(notice, PodNotice)
            assert "256 MB" in notice.message


async def test_a_pod_waits_for_room_on_a_full_disk(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pod: PodDirectory, record: PodRecord) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PodDirectory, "write_pod", refuse)
    pod_id = new_pod_id()
    with pytest.raises(StorageFull, match="no room for a pod: no space left"):
        await pods.runtime.create_pod(spec_of(pod_id))
    monkeypatch.undo()
    assert (await pods.runtime.create_pod(spec_of(pod_id))).number == 0


async def test_files_that_cannot_be_removed_are_a_condition_until_they_can(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pod without a file system of its own, with which its files would be gone."""
    _, worker = await pods.pod(limits=Limits(workspace_bytes=0))
    await pods.shell(worker, "mkdir d; touch d/f")
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path == "f":
            raise OSError(5, "Input/output error")
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(pods.runtime._pods, "userns_command", ())  # else another process removes what this one cannot
    cause = "Permission denied: 'd'" if has_subordinate_ids() else "Input/output error: 'f'"
    with pytest.raises(Unavailable, match=cause):
        await pods.runtime.delete_pod(worker.pod_id)
    (condition,) = await pods.runtime.conditions()
    assert condition.reference == "pod-not-removed"
    assert condition.hint.endswith(f"rm -rf {pods.data}/pods/{worker.pod_id}")
    monkeypatch.undo()
    await pods.runtime.delete_pod(worker.pod_id)
    assert (await pods.runtime.conditions(), list((pods.data / "pods").iterdir())) == ([], [])


async def test_tmp_is_on_the_disk_and_may_have_more_than_the_memory(pods: Pods) -> None:
    _, worker = await pods.pod(limits=Limits(memory_bytes=64 * MEGABYTE))
    assert await pods.shell(worker, "head -c 200000000 /dev/zero > /tmp/f && cat /tmp/f | wc -c") == (0, b"200000000\n")
