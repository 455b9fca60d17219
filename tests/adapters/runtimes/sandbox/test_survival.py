"""Pods outlive the server that created them, and an interrupted creation leaves nothing behind."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import launch
from danube_pkg.core.errors import Defect, Unavailable
from danube_pkg.core.runtimes.pods import HOST_IMAGE, ContainerEnded, PodState
from danube_pkg.kit.directory_identity import identify
from tests.adapters.runtimes.sandbox.pods import (
    EVENT_SECONDS,
    Pods,
    new_pod_id,
    new_runtime,
    next_event,
    spec_of,
)
from tests.support.waiting import wait_until_async

ROOT = Path(__file__).resolve().parents[4]

SERVER = """
import asyncio, os, pathlib, sys
from tests.adapters.runtimes.sandbox.pods import *

ACTIONS = ("open", "os.mkdir", "os.chmod", "os.chown", "os.rename", "os.remove", "subprocess.Popen", "socket.bind")
left = int(sys.argv[3])

def die_in_time(event, arguments):
    global left
    if event in ACTIONS and not str(arguments[0]).startswith("/proc/"):  # how many are read differs each time
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)

async def main():
    runtime = new_runtime(pathlib.Path(sys.argv[1]))
    sys.addaudithook(die_in_time)
    await runtime.create_pod(spec_of(sys.argv[2]))
    worker = await runtime.ensure_container(sys.argv[2], "host")
    await runtime.exec(worker, ("/bin/sh", "-c", "until [ -e /workspace/go ]; do sleep 0.01; done; touch /workspace/done"))
    print(int(sys.argv[3]) - left, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
"""A server that creates a pod and keeps running, or is killed before its n-th action on the machine."""

NEVER = 1_000_000
INTERRUPTED_MOMENTS = 20


async def serve_until_killed(data: Path, pod_id: str, actions: int = NEVER) -> int:
    """Run it, and kill it once it has printed how many actions the pod took: that number, or 0 if it died before."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(data), pod_id, str(actions),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        async with asyncio.timeout(EVENT_SECONDS):
            return int(await server.stdout.readline() or b"0")
    finally:
        if not server.stdout.at_eof():
            server.kill()
        await server.wait()


def processes_of(data: Path) -> list[str]:
    """Processes of the pods of a data directory that still run: their mounts or their arguments name it.

    Mounts name it as its own file system does, which need not be the root's: /tmp of Debian 13 is one in memory.
    """
    mount = next(place for place in data.parents if place.is_mount())
    name = f"/{data.relative_to(mount)}"
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or belongs to another user
            said = (place / "cmdline").read_text()
            if "pytest" not in said and name in said + (place / "mountinfo").read_text():
                found.append(f"{place.name} {said!r}")
    return found


async def test_a_pod_outlives_the_kill_of_its_server(pods: Pods) -> None:
    pod_id = new_pod_id()
    assert await serve_until_killed(pods.data, pod_id) > 0
    state = next(state for state in await pods.runtime.list_pods() if state.pod_id == pod_id)
    assert (state.complete, [container.number for container in state.containers]) == (True, [0, 1])
    assert (await pods.shell(state.containers[1], "touch /workspace/go"))[0] == 0
    assert await pods.shell(state.containers[0], "until [ -e /workspace/done ]; do sleep 0.01; done") == (0, b"")


async def test_a_pods_processes_are_not_children_of_the_server_and_leave_no_zombie(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    for container in (coordinator, worker):
        process = pods.runtime.container_process(container)
        status = Path(f"/proc/{process}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" not in status
    await pods.runtime.delete_pod(worker.pod_id)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not any("\tZ" in Path(f"/proc/{child}/status").read_text() for child in children)


async def test_nothing_is_left_of_a_deleted_pod(pods: Pods) -> None:
    _, worker = await pods.pod()
    stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", "(setsid sleep 1000 &) ; sleep 1000"))
    await wait_until_async(lambda: processes_of(pods.data), EVENT_SECONDS, "the step's processes to start")
    await pods.runtime.delete_pod(worker.pod_id)
    await stream.close()
    await wait_until_async(lambda: not processes_of(pods.data), EVENT_SECONDS, "the pod's processes to be gone")
    name = f"danube/pods/{identify(pods.data).id}"
    groups = [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]
    assert groups == []
    assert list((pods.data / "pods").iterdir()) == []


async def delete_as_the_engine_does(pods: Pods, pod_id: str) -> None:
    """Repeat it while it is unavailable: a start of a container that was under way continues for milliseconds."""
    async with asyncio.timeout(EVENT_SECONDS):
        while True:
            with contextlib.suppress(Unavailable):
                return await pods.runtime.delete_pod(pod_id)


@pytest.mark.long
async def test_a_creation_interrupted_at_any_moment_leaves_nothing_that_delete_does_not_remove(pods: Pods) -> None:
    """The server is killed before each of many actions that the creation of a pod takes."""
    pod_id = (await pods.pod())[0].pod_id  # what is created once for a data directory exists from now on
    await pods.runtime.delete_pod(pod_id)
    count = await serve_until_killed(pods.data, pod_id)
    await pods.runtime.delete_pod(pod_id)
    assert count > INTERRUPTED_MOMENTS
    for number in range(INTERRUPTED_MOMENTS):
        pod_id = new_pod_id()
        assert await serve_until_killed(pods.data, pod_id, 1 + number * count // INTERRUPTED_MOMENTS) == 0
        await delete_as_the_engine_does(pods, pod_id)
        assert await pods.runtime.list_pods() == []
    await wait_until_async(lambda: not processes_of(pods.data), EVENT_SECONDS, "every process to be gone")


async def test_a_cancelled_start_of_a_container_leaves_no_process(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled before bubblewrap reports the process: it must neither fail at that, nor leave its child waiting."""

    async def cancelled(descriptor: int) -> int:
        os.close(descriptor)
        raise asyncio.CancelledError

    pod_id = new_pod_id()
    await pods.runtime.create_pod(spec_of(pod_id))
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(launch, "_child_pid", cancelled)
        for _ in range(5):
            with pytest.raises(asyncio.CancelledError):
                await pods.runtime.ensure_container(pod_id, HOST_IMAGE)
    directory = pods.data / "pods" / pod_id / "c"
    starting = [directory / str(number) for number in range(1, 6)]
    await wait_until_async(lambda: not any(map(holders_of, starting)), 20, "the started processes to end")
    assert len(os.listdir("/proc/self/fd")) <= before
    worker = await pods.runtime.ensure_container(pod_id, HOST_IMAGE)
    assert await pods.shell(worker, "echo lives") == (0, b"lives\n")


def holders_of(directory: Path) -> list[str]:
    """Processes that have a file of that directory open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(file).startswith(f"{directory}/") for file in (process / "fd").iterdir()):
                found.append(process.name)
        except OSError:  # it has ended, or is another user's
            continue
    return found


async def test_a_pod_of_an_older_server_is_found_after_an_upgrade(pods: Pods) -> None:
    """Its record has no id of its own: its directory is named by its job."""
    job_id = new_pod_id()
    coordinator = await pods.runtime.create_pod(spec_of(job_id, job_id=job_id))
    await pods.runtime.close()
    file = pods.data / "pods" / job_id / "pod.json"
    record = json.loads(file.read_text())
    assert record.pop("pod_id") == job_id
    file.write_text(json.dumps(record))
    upgraded = new_runtime(pods.data)
    assert await upgraded.list_pods() == [PodState(job_id, job_id, (coordinator,), complete=True)]
    worker = await upgraded.ensure_container(job_id, HOST_IMAGE)
    async with upgraded.watch() as events:
        os.kill(upgraded.container_process(worker) or 0, signal.SIGKILL)
        event = await next_event(events, ContainerEnded)
    assert isinstance(event, ContainerEnded)
    assert (event.container, event.job_id) == (worker, job_id)
    await upgraded.delete_pod(job_id)
    assert list((pods.data / "pods").iterdir()) == []
    await upgraded.close()


@pytest.mark.parametrize("pod_id", ["", ".", "..", "../logs"])
async def test_an_id_that_names_another_directory_is_refused(pods: Pods, pod_id: str) -> None:
    """Deleting a pod removes the directory of its id as a whole."""
    with pytest.raises(Defect):
        await pods.runtime.delete_pod(pod_id)
    assert (pods.data / "pods").is_dir()


async def test_an_interrupted_creation_can_be_repeated(pods: Pods) -> None:
    spec = spec_of(new_pod_id())
    coordinator = await pods.runtime.create_pod(spec)
    os.kill(pods.runtime.container_process(coordinator) or 0, signal.SIGKILL)
    (pods.data / "pods" / spec.pod_id / "c" / "0" / "container.json").unlink()
    assert [state.complete for state in await pods.runtime.list_pods()] == [False]
    assert await pods.runtime.create_pod(spec) == coordinator
    assert await pods.shell(coordinator, "true") == (0, b"")


async def test_a_pod_whose_holder_was_killed_is_created_again(pods: Pods) -> None:
    spec = spec_of(new_pod_id())
    coordinator = await pods.runtime.create_pod(spec)
    process = pods.runtime.container_process(coordinator)
    assert process is not None
    os.kill(pods.runtime.holder_process(spec.pod_id) or 0, signal.SIGKILL)
    await wait_until_async(lambda: pods.runtime.holder_process(spec.pod_id) is None, EVENT_SECONDS, "the holder's end")
    assert await pods.runtime.create_pod(spec) == coordinator
    assert pods.runtime.container_process(coordinator) not in (None, process)


async def test_another_process_with_the_same_id_is_not_taken_for_a_pods_process(pods: Pods) -> None:
    """After a restart of the machine ids are reused: with another start time the container has ended."""
    _, worker = await pods.pod()
    await pods.runtime.close()
    file = pods.data / "pods" / worker.pod_id / "c" / "1" / "container.json"
    text = file.read_text()
    process = pods.runtime.container_process(worker)
    file.write_text(text.replace(f'"pid": {process}', f'"pid": {os.getpid()}'))
    restarted = new_runtime(pods.data)
    async with restarted.watch() as events:
        event = await next_event(events, ContainerEnded)
    assert isinstance(event, ContainerEnded)
    assert event.container == worker
    os.kill(process or 0, signal.SIGKILL)
    assert (await restarted.ensure_container(worker.pod_id, HOST_IMAGE)).number == 2
    await restarted.delete_pod(worker.pod_id)
    await restarted.close()
