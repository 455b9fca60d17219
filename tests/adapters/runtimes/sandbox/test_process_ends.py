"""A pod has ended when nothing of it lives, also where processes are started faster than they can be killed."""

import asyncio
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.group_end import processes_of
from danube_pkg.adapters.runtimes.sandbox.machine_memory import memory_of_all_pods
from danube_pkg.adapters.runtimes.sandbox.pod_files import ProcessMark
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, Limits
from danube_pkg.kit.directory_identity import identify
from tests.adapters.runtimes.sandbox.pods import EVENT_SECONDS, Pods
from tests.support.waiting import wait_until_async

PROCESSES = 64
"""So many are the bound of the pod, which is checked before any is started."""

FORK_BOMB = (
    "import os\nwhile True:\n try:\n  os.fork()\n except OSError:\n  os.kill(os.getpid(), 9) if os.getpid() % 2 else 0"
)
"""Half of the processes end at the bound, so that there are new ones all the time."""


def groups_of(pods: Pods, pod_id: str) -> list[Path]:
    return find_cgroups(identify(pods.data).id).pod_groups(pod_id)


async def bomb(pods: Pods) -> Container:
    """A worker whose pod is at its bound."""
    _, worker = await pods.pod(limits=Limits(memory_bytes=256 << 20, processes=PROCESSES))
    groups = groups_of(pods, worker.pod_id)
    bounds = [group / "pids.max" for group in groups if (group / "pids.max").exists()]
    assert [file.read_text() for file in bounds] == [f"{PROCESSES}\n"]
    await pods.runtime.exec(worker, ("/usr/bin/env", "python3", "-c", FORK_BOMB))
    await wait_until_async(lambda: len(processes_of(groups)) > PROCESSES / 2, EVENT_SECONDS, "many processes")
    return worker


async def test_a_pod_with_a_fork_bomb_is_deleted_with_every_process(pods: Pods) -> None:
    worker = await bomb(pods)
    seen = {ProcessMark.of(pid) for pid in processes_of(groups_of(pods, worker.pod_id))} - {None}
    async with asyncio.timeout(EVENT_SECONDS):
        await pods.runtime.delete_pod(worker.pod_id)
    assert groups_of(pods, worker.pod_id) == []
    assert [mark for mark in seen if mark is not None and mark.lives()] == []


async def test_a_container_with_a_fork_bomb_is_ended_and_the_pod_continues(pods: Pods) -> None:
    worker = await bomb(pods)
    async with asyncio.timeout(EVENT_SECONDS):
        await pods.runtime.end_container(worker, Reason.POD_LOST, "it was ended")
    groups = find_cgroups(identify(pods.data).id).container_groups(worker.pod_id, worker.number)
    assert groups != []
    assert processes_of(groups) == set()
    coordinator = (await pods.runtime.list_pods())[0].containers[0]
    assert await pods.shell(coordinator, "true") == (0, b"")


async def test_groups_have_the_bounds_and_weights(pods: Pods) -> None:
    """The names of files differ between the two versions of control groups."""
    _, worker = await pods.pod(limits=Limits(memory_bytes=512 << 20))
    find_cgroups(identify(pods.data).id).make_for_proxies()

    def value(group: Path, *names: str) -> int:
        return next(int((group / name).read_text()) for name in names if (group / name).exists())

    for pod in groups_of(pods, worker.pod_id):
        all_pods = pod.parent.parent
        proxies = all_pods.parent / "proxies" / identify(pods.data).id
        assert proxies.is_dir()
        memory, cpu = ("memory.max", "memory.limit_in_bytes"), ("cpu.weight", "cpu.shares")
        if any((pod / name).exists() for name in memory):
            assert value(pod, *memory) == 512 << 20
            assert 0 <= memory_of_all_pods() - value(all_pods, *memory) < 1 << 16, "whole pages"
        if any((pod / name).exists() for name in cpu):
            assert value(proxies.parent, *cpu) == 8 * value(all_pods, *cpu)
        if (pod / "pids.max").exists():
            assert value(pod, "pids.max") == 512
        proxies.rmdir()
