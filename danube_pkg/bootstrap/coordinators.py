"""Opens what coordinators in a cluster connect to: the authority that they trust, and the addresses."""

from collections.abc import Callable
from pathlib import Path

from danube_pkg.adapters.keys.authority import CoordinatorAuthority
from danube_pkg.core.configuration.settings import ServerSettings
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.connection import CoordinatorConnection
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.edges.grpc.network import NetworkListener
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record

_ANY = ("0.0.0.0", "[::]", "")


class CoordinatorAccess(Record):
    """Both sides of the connection: what the server listens on, and what each new pod is given.

    Both are None where no address is configured, as for the sandbox.
    """

    pods: PodAddresses
    listener: NetworkListener | None = None
    connection: Callable[[], CoordinatorConnection] | None = None


def open_coordinator_access(server: ServerSettings, directory: Path, clock: Clock) -> CoordinatorAccess:
    """directory: the data directory. Raises Permanent."""
    pods = PodAddresses()
    if not server.grpc_address:
        return CoordinatorAccess(pods)
    if not server.advertise_address and server.grpc_address.rpartition(":")[0] in _ANY:
        raise Permanent(
            "advertise-address-missing",
            f"pods cannot be given an address of this server: grpc_address is {server.grpc_address}, any address",
            hint='in danube.toml: [server] advertise_address = "HOST:PORT", as pods reach this server',
        )
    authority = CoordinatorAuthority(directory / "keys", clock)
    address = server.advertise_address or server.grpc_address
    listener = NetworkListener(server.grpc_address, authority, pods, clock)
    return CoordinatorAccess(pods, listener, lambda: CoordinatorConnection(address, authority.bundle))
