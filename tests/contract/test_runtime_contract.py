"""What services may expect of every runtime, in the order of `core/ports.py: Runtime`."""

import asyncio
import os
import signal

import pytest

from danube_pkg.core.errors import NotFound, Permanent, Unavailable
from danube_pkg.core.pods import HOST_IMAGE, Container, ContainerEnded, Role
from danube_pkg.core.reasons import Reason
from tests.sandbox.pods import EVENT_SECONDS, Pods, new_job_id, new_runtime, next_event, spec_of
from tests.waiting import wait_until_async

END_ALL = "kill -KILL -1"
"""Ends every process of a container that a step may end; PID 1 is not among them."""


def init_of(pods: Pods, container: Container) -> int:
    """The host's process id of a container's PID 1."""
    known = pods.runtime.container_process(container)
    assert known is not None
    return known


async def test_creating_twice_gives_the_same_coordinator(pods: Pods) -> None:
    spec = spec_of(new_job_id())
    first = await pods.runtime.create_pod(spec)
    assert first == Container(spec.job_id, 0, Role.COORDINATOR, HOST_IMAGE)
    process = init_of(pods, first)
    assert await pods.runtime.create_pod(spec) == first
    assert init_of(pods, first) == process


async def test_a_container_of_the_same_image_is_used_again(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    assert worker == Container(coordinator.job_id, 1, Role.WORKER, HOST_IMAGE)
    again = await asyncio.gather(*(pods.runtime.ensure_container(worker.job_id, HOST_IMAGE) for _ in range(4)))
    assert again == [worker] * 4


async def test_an_image_that_cannot_be_had_is_a_permanent_refusal(pods: Pods) -> None:
    coordinator, _ = await pods.pod()
    with pytest.raises(Permanent) as refusal:
        await pods.runtime.ensure_container(coordinator.job_id, "no.such.registry.invalid/none:1")
    assert refusal.value.reference == Reason.IMAGE_PULL_FAILED
    assert refusal.value.hint


async def test_a_container_of_no_pod_is_refused(pods: Pods) -> None:
    with pytest.raises(Permanent) as refusal:
        await pods.runtime.ensure_container(new_job_id(), HOST_IMAGE)
    assert refusal.value.reference == Reason.POD_LOST


@pytest.mark.parametrize("code", [0, 1, 77, 255])
async def test_exit_codes_arrive(pods: Pods, code: int) -> None:
    _, worker = await pods.pod()
    assert await pods.shell(worker, f"exit {code}") == (code, b"")


async def test_a_signal_is_128_and_its_number(pods: Pods) -> None:
    _, worker = await pods.pod()
    assert await pods.shell(worker, "kill -TERM $$") == (128 + signal.SIGTERM, b"")


async def test_a_program_that_is_not_there_is_127(pods: Pods) -> None:
    _, worker = await pods.pod()
    code, _ = await pods.run(worker, "/no/such/program")
    assert code == 127


async def test_the_supervisor_is_named_and_not_placed(pods: Pods) -> None:
    for container in await pods.pod():
        code, _ = await pods.run(container, "danube-step", "no-such-mode")
        assert code not in (126, 127)


async def test_much_input_and_output_is_not_lost_or_mixed(pods: Pods) -> None:
    _, worker = await pods.pod()
    given = os.urandom(1024) * 8192
    code, printed = await pods.run(worker, "/bin/cat", given=given)
    assert (code, len(printed), printed == given) == (0, len(given), True)


async def test_programs_run_at_the_same_time(pods: Pods) -> None:
    """Each waits for all others, so they would never end one after the other."""
    _, worker = await pods.pod()
    count = 12
    wait = (
        f'touch /workspace/here.{{}}; while [ "$(ls /workspace | wc -l)" -lt {count} ]; do sleep 0.01; done; echo {{}}'
    )
    ends = await asyncio.gather(*(pods.shell(worker, wait.format(index, index)) for index in range(count)))
    assert ends == [(0, f"{index}\n".encode()) for index in range(count)]


async def test_a_closed_connection_does_not_end_the_program(pods: Pods) -> None:
    _, worker = await pods.pod()
    stream = await pods.runtime.exec(
        worker,
        ("/bin/sh", "-c", "echo ready; until [ -e /workspace/go ]; do sleep 0.01; done; touch /workspace/went-on"),
    )
    assert await stream.read() == b"ready\n"
    await stream.close()
    await pods.shell(worker, "touch /workspace/go")
    assert await pods.shell(worker, "until [ -e /workspace/went-on ]; do sleep 0.01; done") == (0, b"")


async def test_a_died_container_is_reported_and_gets_a_new_number(pods: Pods) -> None:
    _, worker = await pods.pod()
    async with pods.runtime.watch() as events:
        stream = await pods.runtime.exec(worker, ("/bin/sleep", "1000"))
        os.kill(init_of(pods, worker), signal.SIGKILL)
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert (event.container, event.reason) == (worker, Reason.POD_LOST)
        with pytest.raises(Unavailable):
            await stream.wait()
        await stream.close()
        with pytest.raises(NotFound) as refusal:
            await pods.runtime.exec(worker, ("/bin/true",))
        assert refusal.value.reference == "container-gone"
        after = await pods.runtime.ensure_container(worker.job_id, HOST_IMAGE)
        assert after.number == worker.number + 1
        assert await pods.shell(after, "true") == (0, b"")


async def test_a_step_cannot_end_its_container(pods: Pods) -> None:
    _, worker = await pods.pod()
    await pods.shell(worker, f"kill -KILL 1; {END_ALL}")
    assert await pods.shell(worker, "true") == (0, b"")
    assert await pods.runtime.ensure_container(worker.job_id, HOST_IMAGE) == worker


async def test_deleting_is_idempotent_and_complete(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    processes = [init_of(pods, container) for container in (coordinator, worker)]
    await pods.shell(worker, "mkdir -p /workspace/a/b && touch /workspace/a/b/c && chmod 0 /workspace/a/b /workspace/a")
    await pods.runtime.delete_pod(worker.job_id)
    assert await pods.runtime.list_pods() == []
    assert not any(os.path.exists(f"/proc/{process}/root/workspace") for process in processes)
    await pods.runtime.delete_pod(worker.job_id)
    await pods.runtime.delete_pod(new_job_id())


async def test_deleting_ends_a_program_that_runs(pods: Pods) -> None:
    _, worker = await pods.pod()
    stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", "echo ready; trap '' TERM; sleep 1000"))
    assert await stream.read() == b"ready\n"
    await pods.runtime.delete_pod(worker.job_id)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(stream.wait(), EVENT_SECONDS)
    assert await stream.read() == b""
    await stream.close()


async def test_a_deleted_pods_end_is_nobodys_news(pods: Pods) -> None:
    _, gone = await pods.pod()
    _, other = await pods.pod()
    async with pods.runtime.watch() as events:
        await pods.runtime.delete_pod(gone.job_id)
        os.kill(init_of(pods, other), signal.SIGKILL)
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert event.container == other


async def test_a_restarted_server_finds_and_uses_the_pods(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    await pods.runtime.close()
    restarted = Pods(pods.data, new_runtime(pods.data))
    states = await restarted.runtime.list_pods()
    assert [(state.job_id, state.containers, state.complete) for state in states] == [
        (worker.job_id, (coordinator, worker), True)
    ]
    assert await restarted.runtime.ensure_container(worker.job_id, HOST_IMAGE) == worker
    assert await restarted.shell(worker, "echo still here") == (0, b"still here\n")
    await restarted.runtime.delete_pod(worker.job_id)
    await restarted.runtime.close()


async def test_what_ended_while_nobody_watched_is_told_first(pods: Pods) -> None:
    _, worker = await pods.pod()
    process = init_of(pods, worker)
    await pods.runtime.close()
    os.kill(process, signal.SIGKILL)
    restarted = new_runtime(pods.data)
    await wait_until_async(lambda: restarted.container_process(worker) is None, EVENT_SECONDS, "the container's end")
    async with restarted.watch() as events:
        event = await next_event(events, ContainerEnded)
    assert isinstance(event, ContainerEnded)
    assert event.container == worker
    await restarted.close()


async def test_containers_share_loopback_and_workspace_only(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    served = asyncio.create_task(
        pods.python(
            coordinator,
            "import socket, pathlib\n"
            "listening = socket.create_server(('127.0.0.1', 8123))\n"
            "pathlib.Path('/workspace/listens').touch()\n"
            "listening.accept()[0].sendall(b'from the coordinator')\n",
        ),
        name="coordinator",
    )
    asked = await pods.shell(
        worker,
        "until [ -e /workspace/listens ]; do sleep 0.01; done\n"
        "python3 -c 'import socket; print(socket.create_connection((\"127.0.0.1\", 8123)).recv(99).decode())'",
    )
    assert asked == (0, b"from the coordinator\n")
    assert (await served)[0] == 0
    await pods.shell(coordinator, "touch /tmp/private $HOME/private")
    assert (await pods.shell(worker, "ls /tmp $HOME"))[1].count(b"private") == 0


async def test_the_pod_is_told_apart_by_its_environment(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    assert await pods.shell(coordinator, 'echo "$CI $DANUBE $COORDINATOR"') == (0, b"true true yes\n")
    assert await pods.shell(worker, 'echo "$CI $DANUBE $COORDINATOR"') == (0, b"true true \n")
    assert (await pods.shell(worker, "cd; pwd; touch x; locale charmap"))[0] == 0
