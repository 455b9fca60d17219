"""The contract of runtimes whose containers hold real processes, beyond what the fake can have."""

import asyncio
import os

from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container
from tests.adapters.runtimes.sandbox.pods import Pods, new_pod_id, spec_of

END_ALL = "kill -KILL -1"
"""Ends every process of a container that a step may end; PID 1 is not one of them."""


def init_of(pods: Pods, container: Container) -> int:
    """The host's process id of a container's PID 1."""
    known = pods.runtime.container_process(container)
    assert known is not None
    return known


async def test_creating_twice_makes_one_process(real_pods: Pods) -> None:
    spec = spec_of(new_pod_id())
    process = init_of(real_pods, await real_pods.runtime.create_pod(spec))
    assert init_of(real_pods, await real_pods.runtime.create_pod(spec)) == process


async def test_programs_run_at_the_same_time(real_pods: Pods) -> None:
    """Each waits for all others, so they would never end if they ran one after the other."""
    _, worker = await real_pods.pod()
    count = 12
    wait = f'touch /workspace/started.{{}}; while [ "$(ls /workspace | wc -l)" -lt {count} ]; do sleep 0.01; done; echo {{}}'
    ends = await asyncio.gather(*(real_pods.shell(worker, wait.format(index, index)) for index in range(count)))
    assert ends == [(0, f"{index}\n".encode()) for index in range(count)]


async def test_a_closed_connection_does_not_end_the_program(real_pods: Pods) -> None:
    _, worker = await real_pods.pod()
    stream = await real_pods.runtime.exec(
        worker,
        ("/bin/sh", "-c", "echo ready; until [ -e /workspace/go ]; do sleep 0.01; done; touch /workspace/continued"),
    )
    assert await stream.read() == b"ready\n"
    await stream.close()
    await real_pods.shell(worker, "touch /workspace/go")
    assert await real_pods.shell(worker, "until [ -e /workspace/continued ]; do sleep 0.01; done") == (0, b"")


async def test_a_step_cannot_end_its_container(real_pods: Pods) -> None:
    _, worker = await real_pods.pod()
    await real_pods.shell(worker, f"kill -KILL 1; {END_ALL}")
    assert await real_pods.shell(worker, "true") == (0, b"")
    assert await real_pods.runtime.ensure_container(worker.pod_id, HOST_IMAGE) == worker


async def test_deleting_ends_processes_and_removes_what_a_step_locked(real_pods: Pods) -> None:
    coordinator, worker = await real_pods.pod()
    processes = [init_of(real_pods, container) for container in (coordinator, worker)]
    await real_pods.shell(
        worker, "mkdir -p /workspace/a/b && touch /workspace/a/b/c && chmod 0 /workspace/a/b /workspace/a"
    )
    await real_pods.runtime.delete_pod(worker.pod_id)
    assert await real_pods.runtime.list_pods() == []
    assert not any(os.path.exists(f"/proc/{process}/root/workspace") for process in processes)


async def test_containers_share_loopback_and_workspace_only(real_pods: Pods) -> None:
    coordinator, worker = await real_pods.pod()
    served = asyncio.create_task(
        real_pods.python(
            coordinator,
            "import socket, pathlib\n"
            "listening = socket.create_server(('127.0.0.1', 8123))\n"
            "pathlib.Path('/workspace/listens').touch()\n"
            "listening.accept()[0].sendall(b'from the coordinator')\n",
        ),
        name="coordinator",
    )
    asked = await real_pods.shell(
        worker,
        "until [ -e /workspace/listens ]; do sleep 0.01; done\n"
        "python3 -c 'import socket; print(socket.create_connection((\"127.0.0.1\", 8123)).recv(99).decode())'",
    )
    assert asked == (0, b"from the coordinator\n")
    assert (await served)[0] == 0
    await real_pods.shell(coordinator, "touch /tmp/private $HOME/private")
    assert (await real_pods.shell(worker, "ls /tmp $HOME"))[1].count(b"private") == 0


async def test_the_environment_names_danube_and_the_coordinator(real_pods: Pods) -> None:
    coordinator, worker = await real_pods.pod()
    assert await real_pods.shell(coordinator, 'echo "$CI $DANUBE $COORDINATOR"') == (0, b"true true yes\n")
    assert await real_pods.shell(worker, 'echo "$CI $DANUBE $COORDINATOR"') == (0, b"true true \n")
    assert (await real_pods.shell(worker, "cd; pwd; touch x; locale charmap"))[0] == 0
