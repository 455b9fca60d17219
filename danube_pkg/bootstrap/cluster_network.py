"""Opens the network of pods in a cluster: the addresses of proxy and canaries, and what keeps pods to them."""

import socket
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from danube_pkg.adapters.egress.canaries import CanaryPort
from danube_pkg.adapters.runtimes.kubernetes import ClusterNetwork, ClusterNetworkOptions, KubernetesSettings
from danube_pkg.bootstrap.runtime import RuntimeCallbacks
from danube_pkg.core.configuration.egress_settings import EgressSection, Unenforced
from danube_pkg.core.configuration.registry_settings import RegistrySettings
from danube_pkg.core.configuration.settings import ServerSettings
from danube_pkg.core.egress.addresses import parse_address
from danube_pkg.core.egress.network_policies import NetworkTarget, target_at
from danube_pkg.core.egress.policy import PROXY_PORT
from danube_pkg.core.egress.ports import EgressProxies
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.registries import endpoints_of, target_of
from danube_pkg.core.runtimes.connection import CoordinatorConnection
from danube_pkg.kit.records import Record

SYSTEM_NAMESPACE = "danube-system"
SERVER_LABELS = {"app.kubernetes.io/name": "danube"}
REGISTRY_LABELS = {"app.kubernetes.io/name": "registry"}
"""As in `k3s/registry.yaml` and `deploy/kubernetes.yaml`."""


class NetworkAddresses(Record):
    """`HOST:PORT` each. bind, canary: where this server listens. server, proxy: as pods reach them, with addresses."""

    bind: str
    canary: str
    server: str
    proxy: str

    @property
    def proxy_host(self) -> str:
        return self.proxy.rpartition(":")[0]


def network_addresses(egress: EgressSection, server: ServerSettings) -> NetworkAddresses:
    """By the settings and their defaults. Raises Permanent for a name that has no address."""
    listening = server.grpc_address.rpartition(":")[0]
    bind = egress.bind_address or f"{listening}:{PROXY_PORT}"
    reached = addressed(server.advertise_address or server.grpc_address)
    proxy = egress.advertise_address or f"{reached.rpartition(':')[0]}:{bind.rpartition(':')[2]}"
    return NetworkAddresses(bind, egress.canary_address or f"{listening}:0", reached, addressed(proxy))


def addressed(address: str) -> str:
    """`HOST:PORT` with an IP address in place of a name. Raises Permanent."""
    host, _, port = address.rpartition(":")
    if parse_address(host.strip("[]")) is not None:
        return address
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Permanent(
            "advertise-address-unknown",
            f"pods cannot be given the address of {host}",
            cause=error.strerror or str(error),
            hint="in danube.toml use a name that this server can resolve, or an IP address: [server] and [egress] "
            "advertise_address; for a registry [kubernetes] host_aliases",
        ) from error
    plain = str(found[4][0])
    return f"[{plain}]:{port}" if ":" in plain else f"{plain}:{port}"


def own_registries(registry: RegistrySettings) -> frozenset[tuple[str, int]]:
    """Host and port of the registry in danube.toml, and of the server of its tokens: what pods reach directly."""
    specs = registry.specs()
    return frozenset(target_of(endpoint) for one in specs for endpoint in endpoints_of(one.host, specs))


def job_targets(
    addresses: NetworkAddresses, registries: Collection[tuple[str, int]], aliases: Mapping[str, str]
) -> tuple[NetworkTarget, ...]:
    """What each pod may reach beside the addresses of server and proxy. aliases: addresses by name, as pods have them.

    A policy sees the pod behind a Service, so the pods of server and registry are named too, for those that run in the
    cluster. Raises Permanent for a registry whose address is not known.
    """
    own = [_in_cluster(int(one.rpartition(":")[2]), SERVER_LABELS) for one in (addresses.server, addresses.proxy)]
    for host, port in sorted(registries):
        own.append(target_at(addressed(f"{aliases.get(host, host)}:{port}")))
        own += [_in_cluster(port, labels) for labels in (SERVER_LABELS, REGISTRY_LABELS)]
    return tuple(own)


def _in_cluster(port: int, labels: Mapping[str, str]) -> NetworkTarget:
    return NetworkTarget(port, "", SYSTEM_NAMESPACE, labels)


@asynccontextmanager
async def open_cluster_network(
    egress: EgressSection,
    addresses: NetworkAddresses,
    targets: tuple[NetworkTarget, ...],
    settings: KubernetesSettings,
    proxies: EgressProxies,
    callbacks: RuntimeCallbacks,
) -> AsyncIterator[tuple[ClusterNetwork, CanaryPort]]:
    """The canaries listen until the block is left. Raises Permanent where they cannot."""
    canaries = CanaryPort(addresses.canary, addresses.proxy_host, egress.canaries)
    options = ClusterNetworkOptions(
        server=addresses.server,
        proxy=addresses.proxy,
        further=targets,
        refuse=egress.unenforced is Unenforced.REFUSE,
        password=callbacks.egress_password or _no_password,
    )
    async with canaries.listening():
        yield ClusterNetwork(options, settings, proxies, canaries, callbacks.pods), canaries


def resolved(connection: CoordinatorConnection, addresses: NetworkAddresses) -> CoordinatorConnection:
    """The connection with the server's address in place of its name."""
    return CoordinatorConnection(addresses.server, connection.authority)


def _no_password(job_id: str) -> str:
    raise Permanent(
        "egress-password-missing",
        "this program has no jobs, and so no passwords for the egress proxy",
        hint="start it with danube serve",
    )
