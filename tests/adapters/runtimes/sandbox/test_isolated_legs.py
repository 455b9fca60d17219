"""Isolated legs of a matrix: their workspace, their network, and what holds for the whole pod all the same."""

import os

import pytest

from danube_pkg.adapters.runtimes.sandbox.pod_files import LegRecord, PodDirectory
from danube_pkg.core.errors import Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container
from tests.adapters.runtimes.sandbox.pods import EVENT_SECONDS, Pods, new_runtime
from tests.support.waiting import wait_until_async

SERVE = 'python3 -c \'import socket, time; s = socket.create_server(("127.0.0.1", 9000)); open("listens", "w"); s.accept()\''


async def leg(pods: Pods, worker: Container, number: int) -> Container:
    return await pods.runtime.ensure_container(worker.pod_id, HOST_IMAGE, (), number)


def directory_of(pods: Pods, worker: Container) -> PodDirectory:
    pod = pods.runtime._pods.directory(worker.pod_id)
    assert pod.read_pod() is not None
    return pod


async def test_a_leg_has_a_copy_of_the_workspace_of_its_own(pods: Pods) -> None:
    coordinator, worker = await pods.pod()
    await pods.shell(
        worker, "mkdir -p d/e; echo shared > d/e/f; ln -s /etc/hostname link; chmod 700 d; touch -d @1 d/e/f"
    )
    one, two = await leg(pods, worker, 1), await leg(pods, worker, 2)
    seen = "cat d/e/f; readlink link; stat -c '%a' d d/e/f; stat -c %Y d/e/f"
    code, copied = await pods.shell(one, seen)
    assert (code, copied) == await pods.shell(worker, seen)
    assert copied.decode().splitlines()[:2] == ["shared", "/etc/hostname"]
    assert copied.decode().splitlines()[4:] == ["1"]
    assert (await pods.shell(one, "ls -d /.danube/workspace"))[0] != 0, "the copied workspace is not shown to steps"
    await pods.shell(one, "echo one > d/e/f; rm link; touch /tmp/one")
    assert await pods.shell(two, "cat d/e/f; ls /tmp") == (0, b"shared\n")
    assert await pods.shell(worker, "cat d/e/f") == (0, b"shared\n")
    assert await pods.shell(coordinator, "cat $DANUBE_LEGS/1/d/e/f; touch $DANUBE_LEGS/1/x") != (0, b"one\n")
    assert await pods.shell(coordinator, "cat $DANUBE_LEGS/1/d/e/f") == (0, b"one\n")


async def test_containers_of_a_leg_share_a_network_that_others_do_not_reach(pods: Pods) -> None:
    _, worker = await pods.pod()
    one, two = await leg(pods, worker, 1), await leg(pods, worker, 2)
    assert await leg(pods, worker, 1) == one
    wait = "until [ -e listens ]; do sleep 0.01; done; "
    connect = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 9000))'"
    for container in (one, two):  # the same port twice
        await pods.shell(container, f"({SERVE}) > /dev/null 2>&1 & {wait}")
    refused = await pods.shell(worker, f"{connect} 2>&1 | tail -1")
    assert b"Connection refused" in refused[1]
    assert await pods.shell(one, connect) == (0, b"")


async def test_a_restarted_server_finds_legs_and_removes_them_with_their_pod(pods: Pods) -> None:
    _, worker = await pods.pod()
    one = await leg(pods, worker, 1)
    (record,) = directory_of(pods, worker).leg_records()
    assert record.is_complete
    restarted = new_runtime(pods.data)
    assert await restarted.ensure_container(worker.pod_id, HOST_IMAGE, (), 1) == one
    await restarted.delete_pod(worker.pod_id)
    await restarted.close()
    assert not record.holder.lives()
    assert await pods.runtime.list_pods() == []


async def test_a_leg_whose_creation_was_interrupted_is_made_again(pods: Pods) -> None:
    _, worker = await pods.pod()
    one = await leg(pods, worker, 1)
    pod = directory_of(pods, worker)
    (record,) = pod.leg_records()
    await pods.runtime.end_container(one, Reason.POD_LOST, "test")
    pod.write_leg(LegRecord(1, record.holder, is_complete=False))
    await pods.shell(worker, "echo later > file")
    again = await leg(pods, worker, 1)
    assert again.number > one.number
    assert await pods.shell(again, "cat file") == (0, b"later\n")
    assert not record.holder.lives()


async def test_a_leg_whose_network_was_ended_from_outside_gets_no_other(pods: Pods) -> None:
    _, worker = await pods.pod()
    one = await leg(pods, worker, 1)
    (record,) = directory_of(pods, worker).leg_records()
    await pods.runtime.end_container(one, Reason.POD_LOST, "test")
    record.holder.kill()
    await wait_until_async(lambda: not record.holder.lives(), EVENT_SECONDS, "the end of the leg's network")
    with pytest.raises(Permanent) as refusal:
        await leg(pods, worker, 1)
    assert refusal.value.reference == Reason.POD_LOST


async def test_a_workspace_that_cannot_be_copied_fails_the_leg_and_names_the_file(pods: Pods) -> None:
    _, worker = await pods.pod()
    code, _ = await pods.shell(worker, "mkdir hidden; echo x > hidden/f; chmod 0 hidden; ls hidden")
    assert code != 0, "the image host is run by an ordinary user"
    with pytest.raises(Permanent, match="hidden") as refusal:
        await leg(pods, worker, 1)
    assert refusal.value.hint
    await pods.shell(worker, "chmod 700 hidden")
    assert await pods.shell(await leg(pods, worker, 1), "cat hidden/f") == (0, b"x\n")
    assert os.listdir(directory_of(pods, worker).legs) == ["1"]
