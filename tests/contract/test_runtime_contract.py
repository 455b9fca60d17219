"""The contract of `core.runtimes.ports.Runtime`, in the order of its methods."""

import asyncio
import os
import signal

import pytest

from danube_pkg.core.errors import NotFound, Permanent, Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    Container,
    ContainerEnded,
    ContainerRole,
    PodState,
)
from tests.adapters.runtimes.sandbox.pods import EVENT_SECONDS, job_of, new_pod_id, spec_of
from tests.contract.pods import ContractPods, next_event


async def test_creating_twice_gives_the_same_coordinator(pods: ContractPods) -> None:
    spec = spec_of(new_pod_id())
    first = await pods.runtime.create_pod(spec)
    assert first == Container(spec.pod_id, 0, ContainerRole.COORDINATOR, HOST_IMAGE)
    assert await pods.runtime.create_pod(spec) == first
    states = await pods.runtime.list_pods()
    assert states == [PodState(spec.pod_id, spec.job_id, (first,), complete=True)]


async def test_pods_of_one_job_are_independent(pods: ContractPods) -> None:
    """Each has its own containers, and deleting one leaves the others."""
    specs = [spec_of(new_pod_id(), job_id="one-job") for _ in range(2)]
    first, second = [await pods.runtime.create_pod(spec) for spec in specs]
    assert first.pod_id != second.pod_id
    await pods.runtime.delete_pod(first.pod_id)
    assert await pods.runtime.list_pods() == [PodState(second.pod_id, "one-job", (second,), complete=True)]
    assert await pods.shell(second, "true") == (0, b"")


async def test_a_pod_needs_no_job(pods: ContractPods) -> None:
    spec = spec_of(new_pod_id(), job_id="")
    coordinator = await pods.runtime.create_pod(spec)
    assert await pods.runtime.list_pods() == [PodState(spec.pod_id, "", (coordinator,), complete=True)]
    async with pods.runtime.watch() as events:
        await pods.kill(coordinator)
        event = await next_event(events, ContainerEnded)
    assert isinstance(event, ContainerEnded)
    assert (event.pod_id, event.job_id) == (spec.pod_id, "")


async def test_a_container_of_the_same_image_is_used_again(pods: ContractPods) -> None:
    coordinator, worker = await pods.pod()
    assert worker == Container(coordinator.pod_id, 1, ContainerRole.WORKER, HOST_IMAGE)
    again = await asyncio.gather(*(pods.runtime.ensure_container(worker.pod_id, HOST_IMAGE) for _ in range(4)))
    assert again == [worker] * 4


async def test_an_isolated_leg_has_containers_of_its_own_or_is_refused(pods: ContractPods) -> None:
    coordinator, worker = await pods.pod()
    if pods.runtime.name == "kubernetes":
        with pytest.raises(Permanent) as refusal:
            await pods.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE, (), 1)
        assert refusal.value.reference == "isolation-unsupported"
        return
    legs = [await pods.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE, (), number) for number in (1, 2, 1)]
    assert legs[0] == legs[2]
    assert len({worker, *legs}) == 3
    assert await pods.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE) == worker


async def test_an_image_that_does_not_exist_is_refused_permanently(pods: ContractPods) -> None:
    coordinator, _ = await pods.pod()
    with pytest.raises(Permanent) as refusal:
        await pods.runtime.ensure_container(coordinator.pod_id, "no.such.registry.invalid/none:1")
    assert refusal.value.reference == Reason.IMAGE_PULL_FAILED
    assert refusal.value.hint


async def test_a_container_without_a_pod_is_refused(pods: ContractPods) -> None:
    with pytest.raises(Permanent) as refusal:
        await pods.runtime.ensure_container(new_pod_id(), HOST_IMAGE)
    assert refusal.value.reference == Reason.POD_LOST


@pytest.mark.parametrize("code", [0, 1, 77, 255])
async def test_exit_codes_arrive(pods: ContractPods, code: int) -> None:
    _, worker = await pods.pod()
    assert await pods.shell(worker, f"exit {code}") == (code, b"")


async def test_a_signal_is_128_and_its_number(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    assert await pods.shell(worker, "kill -TERM $$") == (128 + signal.SIGTERM, b"")


async def test_a_program_that_does_not_exist_exits_with_127(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    code, _ = await pods.run(worker, "/no/such/program")
    assert code == 127


async def test_the_supervisor_is_found_by_its_name(pods: ContractPods) -> None:
    for container in await pods.pod():
        code, _ = await pods.run(container, "danube-step", "no-such-mode")
        assert code not in (126, 127)


async def test_much_input_and_output_is_not_lost_or_mixed(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    given = os.urandom(1024) * 8192
    code, printed = await pods.run(worker, "/bin/cat", given=given)
    assert (code, len(printed), printed == given) == (0, len(given), True)


async def test_an_ended_container_is_reported_and_its_successor_has_a_new_number(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    async with pods.runtime.watch() as events:
        stream = await pods.runtime.exec(worker, ("/bin/sleep", "1000"))
        await pods.kill(worker)
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert (event.container, event.job_id, event.reason) == (worker, job_of(worker.pod_id), Reason.POD_LOST)
        with pytest.raises(Unavailable):
            await stream.wait()
        await stream.close()
        with pytest.raises(NotFound) as refusal:
            await pods.runtime.exec(worker, ("/bin/true",))
        assert refusal.value.reference == "container-gone"
        after = await pods.runtime.ensure_container(worker.pod_id, HOST_IMAGE)
        assert after.number == worker.number + 1
        assert await pods.shell(after, "true") == (0, b"")


async def test_a_pod_whose_network_is_closed_keeps_its_containers_or_it_is_refused(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    if pods.runtime.name == "kubernetes":
        with pytest.raises(Permanent) as refusal:
            await pods.runtime.close_network(worker.pod_id)
        assert refusal.value.reference == "network-not-closed"
        return
    for _ in range(2):
        await pods.runtime.close_network(worker.pod_id)
    assert await pods.shell(worker, "true") == (0, b"")
    assert await pods.runtime.ensure_container(worker.pod_id, HOST_IMAGE) == worker
    await pods.runtime.delete_pod(worker.pod_id)
    with pytest.raises(Permanent) as gone:
        await pods.runtime.close_network(worker.pod_id)
    assert gone.value.reference == "pod-lost"


async def test_deleting_is_idempotent_and_complete(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    await pods.runtime.delete_pod(worker.pod_id)
    assert await pods.runtime.list_pods() == []
    with pytest.raises(NotFound):
        await pods.runtime.exec(worker, ("/bin/true",))
    await pods.runtime.delete_pod(worker.pod_id)
    await pods.runtime.delete_pod(new_pod_id())


async def test_deleting_ends_a_program_that_runs(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    stream = await pods.runtime.exec(worker, ("/bin/sh", "-c", "echo ready; trap '' TERM; sleep 1000"))
    assert await stream.read() == b"ready\n"
    await pods.runtime.delete_pod(worker.pod_id)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(stream.wait(), EVENT_SECONDS)
    assert await stream.read() == b""
    await stream.close()


async def test_the_deletion_of_a_pod_is_not_an_event(pods: ContractPods) -> None:
    _, gone = await pods.pod()
    _, other = await pods.pod()
    async with pods.runtime.watch() as events:
        await pods.runtime.delete_pod(gone.pod_id)
        await pods.kill(other)
        event = await next_event(events, ContainerEnded)
        assert isinstance(event, ContainerEnded)
        assert event.container == other


async def test_a_restarted_server_finds_and_uses_the_pods(pods: ContractPods) -> None:
    coordinator, worker = await pods.pod()
    await pods.runtime.close()
    restarted = pods.restarted()
    states = await restarted.runtime.list_pods()
    assert states == [PodState(worker.pod_id, job_of(worker.pod_id), (coordinator, worker), complete=True)]
    assert await restarted.runtime.ensure_container(worker.pod_id, HOST_IMAGE) == worker
    assert await restarted.shell(worker, "echo still here") == (0, b"still here\n")
    await restarted.runtime.delete_pod(worker.pod_id)
    await restarted.runtime.close()


async def test_a_container_that_ended_before_the_watch_is_reported_first(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    await pods.runtime.close()
    await pods.kill(worker)
    restarted = pods.restarted()
    await restarted.wait_ended(worker)
    async with restarted.runtime.watch() as events:
        event = await next_event(events, ContainerEnded)
    assert isinstance(event, ContainerEnded)
    assert event.container == worker
    await restarted.runtime.close()


async def test_every_watch_reports_first_what_has_ended(pods: ContractPods) -> None:
    """A watch that is opened again after a failure must not lose events of before, nor of the time between."""
    _, worker = await pods.pod()
    await pods.kill(worker)
    await pods.wait_ended(worker)
    for _ in range(2):
        async with pods.runtime.watch() as events:
            event = await next_event(events, ContainerEnded)
            assert isinstance(event, ContainerEnded)
            assert event.container == worker


async def test_a_container_that_is_ended_has_the_given_cause_and_the_others_continue(pods: ContractPods) -> None:
    coordinator, worker = await pods.pod()
    async with pods.runtime.watch() as events:
        await pods.runtime.end_container(worker, Reason.POD_LOST, "it was ended")
        event = await next_event(events, ContainerEnded)
    assert event == ContainerEnded(worker, job_of(worker.pod_id), Reason.POD_LOST, "it was ended")
    await pods.runtime.end_container(worker, Reason.POD_LOST, "it was ended twice")
    assert [state.containers for state in await pods.runtime.list_pods()] == [(coordinator,)]
    assert await pods.shell(coordinator, "true") == (0, b"")
