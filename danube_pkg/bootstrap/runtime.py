"""Opens the chosen runtime with all that depends on it: egress, images and the coordinator's command.

`runtime_choice.py` chooses it. This is the only place that opens one; a new one is an opener at the end.
"""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool, EgressSettings
from danube_pkg.adapters.programs import coordinator_command, coordinator_program, find_program
from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.checks import SandboxPrograms
from danube_pkg.adapters.runtimes.sandbox.id_ranges import PROXY_USER, has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.bootstrap.images import ImageOptions, open_images
from danube_pkg.core.configuration.cluster_settings import ClusterSettings
from danube_pkg.core.configuration.egress_settings import EgressSection
from danube_pkg.core.configuration.settings import RuntimeSettings, ServerSettings
from danube_pkg.core.egress.credentials import NetworkAccess
from danube_pkg.core.egress.ports import EgressLedgers, EgressProxies
from danube_pkg.core.health.subsystems import Part
from danube_pkg.core.images.ports import Images
from danube_pkg.core.images.registries import RegistrySpec, configured_targets
from danube_pkg.core.runtimes.choice import RuntimeChoice
from danube_pkg.core.runtimes.connection import CoordinatorConnection
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.kit.directory_identity import identify
from danube_pkg.kit.records import Record, field, replace
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.images.pulls import ImageLedgers
from danube_pkg.services.images.registries import SecretOf


class RuntimeParts(Record):
    """A runtime and what comes with it."""

    runtime: Runtime
    proxies: EgressProxies
    ledgers: EgressLedgers
    images: Images | None
    """None for a runtime whose images are pulled by others, such as the nodes of a cluster."""
    coordinator_command: str
    """The shell command that a coordinator's container runs."""
    conditions: Sequence[ConditionSource]
    """What an operator must see of the runtime."""
    image_options: ImageOptions | None = None
    """The registry that jobs push to, and how the server reaches it; None for a runtime without images."""
    network: NetworkAccess | None = None
    """How steps reach the egress proxy over a network; None where it is in the pod's own."""
    checks: Mapping[Part, ConditionSource] = {}
    """The checks of its subsystems, without which no job can run."""
    cluster_calls: Tally | None = None
    """Requests to the API of its cluster, as `OPERATION STATUS`; None where there is none."""


class SandboxParts(RuntimeParts):
    """The same with the sandbox's own type, for checks of this machine."""

    runtime: SandboxRuntime


class RuntimeOptions(Record):
    """The sections of danube.toml about the runtime, egress and images, and which runtime was chosen by them.
    host_image: whether jobs may use the image `host`. pod_launcher: the socket of the unit in which pods and egress
    proxies start; None where they start from the server."""

    images: ImageOptions
    runtime: RuntimeSettings
    egress: EgressSection
    choice: RuntimeChoice = RuntimeChoice(None, "pods of this machine alone")
    kubernetes: ClusterSettings = field(default_factory=ClusterSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    host_image: bool = True
    pod_launcher: Path | None = None


async def _no_host_forms(job_id: str) -> Collection[str]:
    return ()


class RuntimeCallbacks(Record):
    """What the parts of a runtime ask of the server while they run; the defaults are for pods without jobs."""

    host_forms: Callable[[str], Awaitable[Collection[str]]] = _no_host_forms
    """By a job's id: what its egress ledger must not show."""
    registries: Callable[[], Sequence[RegistrySpec]] = tuple
    """The registries of the applied configuration."""
    secret_of: SecretOf | None = None
    """Reads the secrets of registries."""
    pods: PodAddresses = field(default_factory=PodAddresses)
    """Filled by a runtime whose pods have addresses; asked by the servers that they connect to."""
    connection: Callable[[], CoordinatorConnection] | None = None
    """How coordinators in a cluster reach this server, for each pod anew; None where `server.grpc_address` is empty."""
    egress_password: Callable[[str], str] | None = None
    """By a job's id: what its programs give to the egress proxy over a network."""


NO_CALLBACKS = RuntimeCallbacks()


def local_options(directory: Path) -> RuntimeOptions:
    """Options for pods without images and without egress: to check a machine, or to remove pods. Defaults elsewhere."""
    images = ImageOptions(directory / "images", directory / "docker.json")
    return RuntimeOptions(images, RuntimeSettings(), EgressSection())


@asynccontextmanager
async def open_runtime(
    options: RuntimeOptions, data: Path, callbacks: RuntimeCallbacks = NO_CALLBACKS
) -> AsyncIterator[RuntimeParts]:
    """The chosen runtime on a data directory. Its pods keep running when the block is left.

    Raises Permanent for a cluster that cannot be used, HostLacks for a missing program.
    """
    opener = _open_sandbox if options.choice.cluster is None else await _kubernetes_opener()
    async with opener(options, data, callbacks) as parts:
        yield parts


async def remove_pods(data: Path) -> None:
    """Remove every pod of a data directory; the caller holds its lock."""
    async with open_runtime(local_options(data), data) as parts:
        for pod in await parts.runtime.list_pods():
            await parts.runtime.delete_pod(pod.pod_id)


# --- the sandbox


@asynccontextmanager
async def open_sandbox(
    settings: SandboxSettings, options: RuntimeOptions, callbacks: RuntimeCallbacks = NO_CALLBACKS
) -> AsyncIterator[SandboxParts]:
    """The embedded runtime with these settings, whatever kind is configured."""
    async with AsyncExitStack() as stack:
        ledgers = FileLedgers(settings.data_dir / "logs")

        def registries() -> Collection[tuple[str, int]]:
            specs = (*options.images.registry.specs(), *callbacks.registries())
            return configured_targets(options.images.registry.default_host, specs)

        egress = egress_settings(options.egress, settings, registries)
        proxies = EgressProxyPool(egress, ledgers, callbacks.host_forms)
        stack.push_async_callback(proxies.close)
        contacts = ImageLedgers(ledgers, callbacks.host_forms)
        opening = open_images(options.images, callbacks.registries, callbacks.secret_of, contacts)
        images = await stack.enter_async_context(opening)
        runtime = SandboxRuntime(settings, images, proxies)
        stack.push_async_callback(runtime.close)
        checks: Mapping[Part, ConditionSource] = {Part.PODS: SandboxPrograms(settings), Part.EGRESS: proxies}
        yield SandboxParts(
            runtime,
            proxies,
            ledgers,
            images,
            coordinator_command(),
            (runtime,),
            image_options=options.images,
            checks=checks,
        )


def sandbox_settings(settings: RuntimeSettings, data: Path, pod_launcher: Path | None = None) -> SandboxSettings:
    """How the sandbox works on a data directory. pod_launcher: see RuntimeOptions.

    Raises HostLacks for a missing program.
    """
    return SandboxSettings(
        data_dir=data,
        grpc_directory=data / "run" / "grpc",
        supervisor=find_program("danube-step"),
        namespaces=find_program("danube-ns"),
        program=coordinator_program(),
        python_prefix=Path(sys.base_prefix).resolve(),
        extra_host_paths=tuple(map(Path, settings.host_paths)),
        pod_launcher=pod_launcher,
    )


def egress_settings(
    egress: EgressSection, settings: SandboxSettings, registries: Callable[[], Collection[tuple[str, int]]]
) -> EgressSettings:
    """How the egress proxies of a sandbox's data directory are started."""
    return EgressSettings(
        directory=settings.data_dir / "run" / "egress",
        launcher=settings.lasting_command,
        user=PROXY_USER if has_ids_for_pods() else 0,
        cgroups=lambda: find_cgroups(identify(settings.data_dir).id).make_for_proxies(),
        hosts=egress.hosts,
        registries=registries,
        translated=egress.translated_networks,
    )


@asynccontextmanager
async def _open_sandbox(
    options: RuntimeOptions, data: Path, callbacks: RuntimeCallbacks
) -> AsyncIterator[RuntimeParts]:
    found = sandbox_settings(options.runtime, data, options.pod_launcher)
    settings = replace(found, host_image=options.host_image)
    async with open_sandbox(settings, options, callbacks) as parts:
        yield parts


# --- a cluster

_Opener = Callable[[RuntimeOptions, Path, RuntimeCallbacks], AbstractAsyncContextManager[RuntimeParts]]


async def _kubernetes_opener() -> _Opener:
    """In a thread, and only where a cluster is chosen: the package of its runtime takes a second to import."""
    module = await asyncio.to_thread(importlib.import_module, "danube_pkg.bootstrap.kubernetes_runtime")
    opener: _Opener = module.open_kubernetes
    return opener
