"""Chooses the runtime, and opens it with what depends on it: egress, images and the coordinator's command."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.egress import EgressProxyPool, EgressSettings, FileLedgers
from danube_pkg.adapters.programs import coordinator_command, coordinator_program, find_program
from danube_pkg.adapters.runtimes.sandbox import (
    PROXY_USER,
    SandboxRuntime,
    SandboxSettings,
    find_cgroups,
    has_ids_for_pods,
)
from danube_pkg.bootstrap.images import ImageOptions, open_images
from danube_pkg.core.configuration.settings import EgressHosts, RuntimeKind, RuntimeSettings
from danube_pkg.core.egress.ports import EgressLedgers, EgressProxies
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.runtimes.pods import Limits
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.kit.records import Record
from danube_pkg.services.images.registries import SecretOf

HostForms = Callable[[str], Awaitable[Collection[str]]]
"""What the egress ledger of a job must not show, by the job's id."""


class RuntimeParts(Record):
    """A runtime and what comes with it. coordinator_command: what a coordinator's container runs."""

    runtime: Runtime
    proxies: EgressProxies
    ledgers: EgressLedgers
    coordinator_command: str


class RuntimeOptions(Record):
    """What danube.toml says of runtime, egress and images."""

    images: ImageOptions
    runtime: RuntimeSettings
    egress: EgressHosts


@asynccontextmanager
async def open_runtime(
    options: RuntimeOptions,
    data: Path,
    host_forms: HostForms,
    registries: Callable[[], Sequence[RegistrySpec]] = tuple,
    secret_of: SecretOf | None = None,
) -> AsyncIterator[RuntimeParts]:
    """Pods go on when the block is left. Raises Permanent for a kind that this version does not have."""
    refuse_other_kinds(options.runtime)
    async with AsyncExitStack() as stack:
        ledgers = FileLedgers(data / "logs")
        proxies = EgressProxyPool(egress_settings(options.egress, data), ledgers, host_forms)
        stack.push_async_callback(proxies.close)
        images = await stack.enter_async_context(open_images(options.images, registries, secret_of))
        runtime = SandboxRuntime(sandbox_settings(options.runtime, data), images, proxies)
        stack.push_async_callback(runtime.close)
        yield RuntimeParts(runtime, proxies, ledgers, coordinator_command())


def refuse_other_kinds(settings: RuntimeSettings) -> None:
    """Raises Permanent unless the sandbox is what the settings ask for."""
    if settings.kind is RuntimeKind.KUBERNETES:
        raise Permanent(
            "runtime-missing",
            "this version runs jobs in the sandbox only",
            hint='in danube.toml: [runtime] kind = "sandbox"',
        )


async def remove_pods(data: Path) -> None:
    """Remove every pod of a data directory; the caller holds its lock."""
    runtime = SandboxRuntime(sandbox_settings(RuntimeSettings(), data))
    try:
        for pod in await runtime.list_pods():
            await runtime.delete_pod(pod.pod_id)
    finally:
        await runtime.close()


def sandbox_settings(settings: RuntimeSettings, data: Path) -> SandboxSettings:
    """How the sandbox works on a data directory."""
    return SandboxSettings(
        data_dir=data,
        grpc_directory=data / "run" / "grpc",
        supervisor=find_program("danube-step"),
        namespaces=find_program("danube-ns"),
        program=coordinator_program(),
        python_prefix=Path(sys.base_prefix).resolve(),
        extra_host_paths=tuple(map(Path, settings.host_paths)),
    )


def egress_settings(settings: EgressHosts, data: Path) -> EgressSettings:
    """How the egress proxies of a data directory are started."""
    return EgressSettings(
        directory=data / "run" / "egress",
        launcher=find_program("danube-ns"),
        user=PROXY_USER if has_ids_for_pods() else 0,
        cgroups=lambda: find_cgroups().make("egress-proxy", "all", Limits()),
        hosts=settings.hosts,
    )
