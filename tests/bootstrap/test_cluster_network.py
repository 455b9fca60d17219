"""The addresses of server, proxy and registry, as pods of a cluster are given them."""

import socket

import pytest

from danube_pkg.bootstrap.cluster_network import addressed, job_targets, network_addresses, own_registries
from danube_pkg.core.configuration.egress_settings import EgressSection
from danube_pkg.core.configuration.registry_settings import RegistrySettings
from danube_pkg.core.configuration.settings import ServerSettings
from danube_pkg.core.errors import Permanent

SERVER = ServerSettings(grpc_address="0.0.0.0:9090", advertise_address="10.1.2.3:9090")


def test_the_proxy_is_beside_the_server_unless_configured() -> None:
    found = network_addresses(EgressSection(), SERVER)
    assert (found.bind, found.canary) == ("0.0.0.0:31280", "0.0.0.0:0")
    assert (found.server, found.proxy) == ("10.1.2.3:9090", "10.1.2.3:31280")
    other = network_addresses(EgressSection(bind_address="10.9.9.9:3128", advertise_address="10.9.9.9:81"), SERVER)
    assert (other.bind, other.proxy) == ("10.9.9.9:3128", "10.9.9.9:81")


def test_names_become_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET6, 1, 6, "", ("fd00::7", 0, 0, 0))])
    assert addressed("danube.danube-system.svc:9090") == "[fd00::7]:9090"
    assert addressed("[fd00::8]:9090") == "[fd00::8]:9090"


def test_a_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Permanent, match="the address of danube") as raised:
        addressed("danube.test:9090")
    assert "advertise_address" in raised.value.hint


def test_pods_reach_server_proxy_and_registry() -> None:
    registry = RegistrySettings(url="http://registry.danube-system:5000")
    assert own_registries(registry) == {("registry.danube-system", 5000)}
    addresses = network_addresses(EgressSection(), SERVER)
    targets = job_targets(addresses, own_registries(registry), {"registry.danube-system": "10.43.0.50"})
    found = [(one.address or one.pod_labels["app.kubernetes.io/name"], one.port) for one in targets]
    assert found == [
        ("danube", 9090), ("danube", 31280), ("10.43.0.50", 5000), ("danube", 5000), ("registry", 5000),
    ]  # fmt: skip


def test_without_a_registry_none_is_reached() -> None:
    addresses = network_addresses(EgressSection(), SERVER)
    assert own_registries(RegistrySettings()) == frozenset()
    assert {one.port for one in job_targets(addresses, (), {})} == {9090, 31280}
