"""What the contract suites need of a runtime beside its port: pods, commands in them, and a kill from outside.

A suite writes a command once, for a shell; `COMMANDS` has the script that the fake runs for it.
"""

import asyncio
import os
import secrets
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.runtimes.kubernetes import ClusterAccess, KubernetesRuntime, names
from danube_pkg.core.images.coordinator import coordinator_reference
from danube_pkg.core.runtimes.choice import ClusterLocation
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, PodEvent
from danube_pkg.core.runtimes.ports import Runtime
from tests.adapters.images.containers import open_image_pods
from tests.adapters.runtimes.kubernetes.clusters import NAMESPACE, cluster_settings, new_cluster_runtime
from tests.adapters.runtimes.sandbox.pods import (
    EVENT_SECONDS,
    HEARTBEAT_SECONDS,
    Pods,
    new_pod_id,
    new_runtime,
    spec_of,
)
from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Behaviour, Exit, Hang, IgnoreTerm, Print, Signal, Wait, copy_input, plays
from tests.fakes.runtime import FakeRuntime
from tests.fakes.supervisor import Bounds
from tests.support.kubernetes_api import open_client
from tests.support.waiting import wait_until_true

LINES = b"".join(b"line %d\n" % number for number in range(300))

COMMANDS: Mapping[str, Behaviour] = {
    "true": plays(),
    "exit 0": plays(Exit(0)),
    "exit 1": plays(Exit(1)),
    "exit 77": plays(Exit(77)),
    "exit 255": plays(Exit(255)),
    "kill -TERM $$": plays(Signal(signal.SIGTERM)),
    "/bin/cat": copy_input,
    "/bin/sleep 1000": plays(Hang()),
    "echo still here": plays(Print(b"still here\n")),
    "echo ready; exec sleep 1000": plays(Print(b"ready\n"), Hang()),
    "echo ready; trap '' TERM; sleep 1000": plays(Print(b"ready\n"), IgnoreTerm(), Hang()),
    "trap '' TERM; echo ready; sleep 1000": plays(IgnoreTerm(), Print(b"ready\n"), Hang()),
    "echo out; exit 7": plays(Print(b"out\n"), Exit(7)),
    "kill -KILL $$": plays(Signal(signal.SIGKILL)),
    "exec sleep 1000": plays(Hang()),
    "echo first; sleep 0.3; echo last": plays(Print(b"first\n"), Wait(0.3), Print(b"last\n")),
    "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done": plays(Print(LINES)),
    "head -c 3000000 /dev/zero": plays(Print(bytes(3_000_000))),
    "head -c 20000000 /dev/zero": plays(*[Print(bytes(1 << 20))] * 19, Print(bytes(20_000_000 - (19 << 20)))),
}
COUNT = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done"


class ContractPods(ABC):
    """A runtime, and the machine that it works on."""

    runtime: Runtime

    @abstractmethod
    async def kill(self, container: Container) -> None:
        """Kill a container from outside, as an administrator of the machine can."""

    @abstractmethod
    def restarted(self) -> "ContractPods":
        """The pods as a restarted server has them. The runtime before was closed, or its server was killed."""

    async def pod(self) -> tuple[Container, Container]:
        """A new pod: its coordinator and its first worker."""
        coordinator = await self.runtime.create_pod(spec_of(new_pod_id()))
        return coordinator, await self.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE)

    async def shell(self, container: Container, command: str, given: bytes = b"") -> tuple[int, bytes]:
        """The exit code, and everything printed."""
        return await self.run(container, "/bin/sh", "-c", command, given=given)

    async def run(self, container: Container, *argv: str, given: bytes = b"") -> tuple[int, bytes]:
        stream = await self.runtime.exec(container, argv)
        printed = bytearray()

        async def give() -> None:
            await stream.write(given)
            await stream.close_input()

        async def take() -> None:
            while data := await stream.read():
                printed.extend(data)

        try:
            async with asyncio.timeout(60):
                await asyncio.gather(give(), take())
                return await stream.wait(), bytes(printed)
        finally:
            await stream.close()

    async def wait_ended(self, container: Container) -> None:
        """Returns when the runtime knows that the container has ended."""

        async def ended() -> bool:
            return not any(container in state.containers for state in await self.runtime.list_pods())

        await wait_until_true(ended, EVENT_SECONDS, f"the end of {container}")


class SandboxPods(ContractPods):
    """The embedded runtime."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods
        self.runtime = pods.runtime

    async def kill(self, container: Container) -> None:
        process = self.pods.runtime.container_process(container)
        assert process is not None
        os.kill(process, signal.SIGKILL)

    def restarted(self) -> "SandboxPods":
        return SandboxPods(Pods(self.pods.data, new_runtime(self.pods.data)))


class FakePods(ContractPods):
    """The fake, on a machine with the suites' commands."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.runtime = FakeRuntime(machine)

    async def kill(self, container: Container) -> None:
        self.machine.end_container(container)

    def restarted(self) -> "FakePods":
        return FakePods(self.machine)


class KubernetesPods(ContractPods):
    """The runtime of clusters, over the fake API server."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.runtime = new_cluster_runtime(cluster)

    async def kill(self, container: Container) -> None:
        name = names.object_name(container.pod_id)
        self.cluster.kill_container(NAMESPACE, name, names.container_name(container))

    def restarted(self) -> "KubernetesPods":
        return KubernetesPods(self.cluster)


class RealClusterPods(ContractPods):
    """The same over a real cluster. instance: the identity under which its objects are made."""

    runtime: KubernetesRuntime

    def __init__(self, kubeconfig: Path, instance: str) -> None:
        self._kubeconfig = kubeconfig
        self._instance = instance
        changes = {
            "instance": instance,
            "coordinator_image": coordinator_reference(__version__),
            "default_image": os.environ["DANUBE_TEST_IMAGE"],
            "pull_seconds": 10.0,
        }
        self.runtime = KubernetesRuntime(cluster_settings(**changes), ClusterAccess(ClusterLocation(kubeconfig)))

    async def kill(self, container: Container) -> None:
        """From outside of Danube: another client of the API orders PID 1 to exit."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{names.object_name(container.pod_id)}"
        async with open_client(self._kubeconfig) as client:
            await client.exec(path, [names.SUPERVISOR_PATH, "end"], container=names.container_name(container))

    def restarted(self) -> "RealClusterPods":
        return RealClusterPods(self._kubeconfig, self._instance)


@asynccontextmanager
async def open_real_cluster() -> AsyncIterator[RealClusterPods]:
    """Pods in the cluster that KUBECONFIG names, whose nodes have the coordinator image of this version. All of them
    are removed at the end."""
    kubeconfig, instance = Path(os.environ["KUBECONFIG"]), secrets.token_hex(8)
    pods = RealClusterPods(kubeconfig, instance)
    try:
        yield pods
    finally:
        await pods.runtime.close()
        last = RealClusterPods(kubeconfig, instance)
        for state in await last.runtime.list_pods():
            await last.runtime.delete_pod(state.pod_id)
        await last.runtime.close()


@asynccontextmanager
async def open_contract_pods(name: str, data: Path) -> AsyncIterator[ContractPods]:
    """The runtime of that name; its pods are removed at the end."""
    if name == "sandbox":
        data.mkdir()
        async with open_image_pods(data) as made:
            yield SandboxPods(made.pods)
        return
    if name == "kubernetes":
        async with open_cluster(data) as cluster:
            pods = KubernetesPods(cluster)
            try:
                yield pods
            finally:
                await pods.runtime.close()
        return
    if name == "real-cluster":
        async with open_real_cluster() as real:
            yield real
        return
    machine = FakeMachine(bounds=Bounds(heartbeat_seconds=HEARTBEAT_SECONDS))
    machine.commands.update(COMMANDS)
    yield FakePods(machine)
    for pod_id in list(machine.pods):
        machine.delete_pod(pod_id)
    assert not machine.defects


async def next_event(events: AsyncIterator[PodEvent], kind: type[PodEvent]) -> PodEvent:
    """The next event of that type; the others may come before it."""
    async with asyncio.timeout(EVENT_SECONDS):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError("the watch ended")
