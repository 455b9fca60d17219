"""Pods for tests: a runtime on a directory of its own, and helpers that run commands in containers."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from build_steps.supervisor import build_supervisor
from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.adapters.runtimes.sandbox.id_maps import map_of_user
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.core.egress.ports import EgressProxies
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    Container,
    Limits,
    Network,
    PodEvent,
    PodSpec,
)
from tests.fakes.egress import NoProxies
from tests.fakes.images import NoImages

TOKEN = "token-of-the-test"
CHECK_SECONDS = 0.1
"""Between two checks of a workspace's size; short, so that tests are."""

HEARTBEAT_SECONDS = 0.05
"""Between two heartbeats of a supervisor; short, so that tests that wait for one are."""

EVENT_SECONDS = 30.0


def has_subordinate_ids() -> bool:
    """Whether pods have subordinate ids of an ordinary user. Root in such a pod is that user, so files of the user
    are not protected by having an owner that the pod does not know."""
    return not has_ids_for_pods() and map_of_user(build_supervisor("danube-ns")).is_full


def settings_of(data: Path, host_paths: Sequence[Path] = ()) -> SandboxSettings:
    """A runtime's settings with this tree's programs. host_paths: further paths of this machine in the image `host`."""
    sockets = data / "run" / "grpc"
    sockets.mkdir(parents=True, exist_ok=True)
    return SandboxSettings(
        data_dir=data,
        grpc_directory=sockets,
        supervisor=build_supervisor("danube-step"),
        namespaces=build_supervisor("danube-ns"),
        program=CoordinatorProgram((), {"COORDINATOR": "yes"}),
        python_prefix=Path(sys.base_prefix),
        extra_host_paths=tuple(host_paths),
        workspace_check_seconds=CHECK_SECONDS,
        heartbeat_seconds=HEARTBEAT_SECONDS,
    )


def new_runtime(data: Path, proxies: EgressProxies | None = None, host_paths: Sequence[Path] = ()) -> SandboxRuntime:
    """The runtime of a server that has just started: a second one on the same directory is a restarted server's."""
    return SandboxRuntime(settings_of(data, host_paths), NoImages(), proxies or NoProxies())


def new_pod_id() -> str:
    """Random: control groups are shared by the whole machine, so two test runs must not use the same id."""
    return f"test-{secrets.token_hex(6)}"


def job_of(pod_id: str) -> str:
    """The job of a test's pod, unless the test names another one: never the pod's own id."""
    return f"job-of-{pod_id}"


def spec_of(
    pod_id: str,
    *,
    job_id: str | None = None,
    limits: Limits | None = None,
    network: Network = Network.NONE,
    allowlist: Sequence[str] = (),
) -> PodSpec:
    job_id = job_of(pod_id) if job_id is None else job_id
    return PodSpec(pod_id, job_id, "pipeline", limits or Limits(), network, TOKEN, tuple(allowlist))


@dataclass(frozen=True, slots=True)
class Pods:
    """One runtime and the data directory that it works on."""

    data: Path
    runtime: SandboxRuntime

    async def pod(
        self, *, limits: Limits | None = None, network: Network = Network.NONE, allowlist: Sequence[str] = ()
    ) -> tuple[Container, Container]:
        """A new pod: its coordinator and its first worker."""
        spec = spec_of(new_pod_id(), limits=limits, network=network, allowlist=allowlist)
        coordinator = await self.runtime.create_pod(spec)
        return coordinator, await self.runtime.ensure_container(coordinator.pod_id, HOST_IMAGE)

    async def shell(self, container: Container, command: str, given: bytes = b"") -> tuple[int, bytes]:
        """The exit code, and everything printed."""
        return await self.run(container, "/bin/sh", "-c", command, given=given)

    async def python(self, container: Container, program: str) -> tuple[int, bytes]:
        return await self.run(container, "python3", "-c", program)

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


@asynccontextmanager
async def open_pods(
    data: Path, proxies: EgressProxies | None = None, host_paths: Sequence[Path] = ()
) -> AsyncIterator[Pods]:
    """A runtime whose pods are removed at the end, whatever the test did."""
    data.mkdir(exist_ok=True)
    runtime = new_runtime(data, proxies, host_paths)
    try:
        yield Pods(data, runtime)
    finally:
        for state in await runtime.list_pods():
            await runtime.delete_pod(state.pod_id)
        await runtime.close()


async def next_event(events: AsyncIterator[PodEvent], kind: type[PodEvent]) -> PodEvent:
    """The next event of that type; the others may come before it."""
    async with asyncio.timeout(EVENT_SECONDS):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError("the watch ended")
