"""Opens the Kubernetes runtime. Imported only where it is chosen: the package behind it takes a second and 20 MB."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from danube_pkg import __version__
from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool
from danube_pkg.adapters.runtimes.kubernetes import ClusterAccess, KubernetesRuntime, KubernetesSettings
from danube_pkg.bootstrap.cluster_network import (
    job_targets,
    network_addresses,
    open_cluster_network,
    own_registries,
    resolved,
)
from danube_pkg.bootstrap.runtime import (
    RuntimeCallbacks,
    RuntimeOptions,
    RuntimeParts,
    egress_settings,
    sandbox_settings,
)
from danube_pkg.core.configuration.cluster_settings import ClusterSettings, UserNamespaces
from danube_pkg.core.egress.credentials import NetworkAccess
from danube_pkg.core.errors import Permanent
from danube_pkg.core.health.subsystems import Part
from danube_pkg.core.images.builders import is_builder
from danube_pkg.core.images.coordinator import COORDINATOR_COMMAND, coordinator_reference
from danube_pkg.core.images.reference import HUB
from danube_pkg.core.images.registries import configured_targets
from danube_pkg.core.runtimes.connection import CoordinatorConnection
from danube_pkg.kit.directory_identity import identify
from danube_pkg.kit.records import replace
from danube_pkg.services.health import ConditionSource

_USER_NAMESPACES: Mapping[UserNamespaces, bool | None] = {
    UserNamespaces.AUTO: None,
    UserNamespaces.ON: True,
    UserNamespaces.OFF: False,
}


def kubernetes_settings(
    cluster: ClusterSettings, instance: str, connection: Callable[[], CoordinatorConnection], default_host: str = HUB
) -> KubernetesSettings:
    """The runtime's settings by danube.toml. instance: the identity of the data directory. default_host: the
    registry of images without a host."""
    return KubernetesSettings(
        instance=instance,
        version=__version__,
        coordinator_image=cluster.coordinator_image or coordinator_reference(__version__),
        connection=lambda token: connection().files(token),
        namespace=cluster.namespace,
        builds_namespace=cluster.builds_namespace,
        default_image=cluster.default_image,
        is_builder=partial(is_builder, default_host=default_host),
        image_pull_secrets=cluster.image_pull_secrets,
        node_selector=cluster.node_selector,
        tolerations=tuple(one.as_of_the_api() for one in cluster.tolerations),
        runtime_class=cluster.runtime_class,
        host_aliases=cluster.host_aliases,
        memory_bytes=cluster.memory_mb * 1024**2,
        cpu_request=cluster.cpu_request,
        memory_request_bytes=cluster.memory_request_mb * 1024**2,
        user_namespaces=_USER_NAMESPACES[cluster.user_namespaces],
        start_seconds=float(cluster.start_seconds),
    )


@asynccontextmanager
async def open_kubernetes(
    options: RuntimeOptions, data: Path, callbacks: RuntimeCallbacks
) -> AsyncIterator[RuntimeParts]:
    """Jobs on the chosen cluster. Raises Permanent for an access that cannot be used, Unavailable for a cluster that
    does not answer."""
    location = options.choice.cluster
    if location is None or callbacks.connection is None:
        raise Permanent(
            "grpc-address-missing",
            "coordinators in a cluster cannot reach this server: it listens on a unix socket only",
            hint='in danube.toml: [server] grpc_address = "0.0.0.0:9090", and advertise_address as pods reach it',
        )
    async with AsyncExitStack() as stack:
        access = ClusterAccess(location)
        stack.push_async_callback(access.close)
        await access.open()  # a file that cannot be read is better refused now than by the first job
        ledgers = FileLedgers(data / "logs")

        def registries() -> Collection[tuple[str, int]]:
            specs = (*options.images.registry.specs(), *callbacks.registries())
            return configured_targets(options.images.registry.default_host, specs)

        addresses = network_addresses(options.egress, options.server)
        launching = sandbox_settings(options.runtime, data, options.pod_launcher)
        egress = replace(egress_settings(options.egress, launching, registries), network_address=addresses.bind)
        proxies = EgressProxyPool(egress, ledgers, callbacks.host_forms)
        stack.push_async_callback(proxies.close)
        connection = callbacks.connection
        settings = kubernetes_settings(
            options.kubernetes,
            identify(data).id,
            lambda: resolved(connection(), addresses),
            options.images.registry.default_host,
        )
        own = own_registries(options.images.registry)
        targets = job_targets(addresses, own, options.kubernetes.host_aliases)
        opening = open_cluster_network(options.egress, addresses, targets, settings, proxies, callbacks)
        network, canaries = await stack.enter_async_context(opening)
        runtime = KubernetesRuntime(settings, access, network, callbacks.pods)
        stack.push_async_callback(runtime.close)
        checks: dict[Any, ConditionSource] = {Part.PODS: runtime, Part.EGRESS: proxies}
        yield RuntimeParts(
            runtime=runtime,
            proxies=proxies,
            ledgers=ledgers,
            images=None,
            coordinator_command=COORDINATOR_COMMAND,
            conditions=(runtime, canaries, network),
            image_options=options.images,
            network=NetworkAccess(addresses.proxy, tuple(sorted({host for host, _ in own}))),
            checks=checks,
            cluster_calls=access.calls,
        )
