"""The policies of a cluster's network that make the egress proxy the only way out of a pod. Pure.

Policies add up: what any of them allows is allowed. So a namespace of jobs denies everything (`deny_all_policy`), each
job's pod is allowed its few targets (`job_policy`), and a policy by names (`proxy_cilium_policy`) selects the proxy's
pod and never a job's, which it would give a way past the proxy and its ledger.

A cluster ignores policies in silence where nothing enforces them; `canaries` finds out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.core.egress.addresses import parse_address
from danube_pkg.core.egress.policy import DEFAULT_PORTS, Entry, parse_entry
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import Record

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON."""

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""The label with its name that each namespace has (Kubernetes 1.22)."""

DNS_PORT = 53


class NetworkTarget(Record):
    """What a job's pod may connect to: a port at an address, or of the pods with these labels in that namespace."""

    port: int
    address: str = ""
    namespace: str = ""
    pod_labels: Mapping[str, str] = {}

    def rule(self) -> Manifest:
        """The rule of a NetworkPolicy. Raises Invalid for a host name: policies know addresses only."""
        ports = [{"protocol": "TCP", "port": self.port}]
        if not self.address:
            peer = {
                "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: self.namespace}},
                "podSelector": {"matchLabels": dict(self.pod_labels)},
            }
            return {"to": [peer], "ports": ports}
        address = parse_address(self.address)
        if address is None:
            raise Invalid(
                "network-target-invalid",
                f"pods cannot be allowed to connect to {self.address}:{self.port}",
                cause="it is a name; a network policy takes addresses, and pods have no DNS",
                hint="use an IP address in advertise_address of [server] and [egress] in danube.toml",
            )
        return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}], "ports": ports}


def target_at(address: str) -> NetworkTarget:
    """The target of `HOST:PORT`, as settings have it."""
    host, _, port = address.rpartition(":")
    return NetworkTarget(int(port), host.strip("[]"))


def deny_all_policy(name: str, namespace: str) -> Manifest:
    """Pods of the namespace connect to nothing and are connected to by nothing, DNS included."""
    return _network_policy(name, namespace, {}, {}, [])


def job_policy(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    targets: Sequence[NetworkTarget],
) -> Manifest:
    """The pods with the labels `selector` connect to these targets only, and nothing connects to them.

    labels: of the policy itself. Raises Invalid.
    """
    return _network_policy(name, namespace, labels, selector, [target.rule() for target in targets])


def _network_policy(
    name: str, namespace: str, labels: Mapping[str, str], selector: Mapping[str, str], egress: Sequence[Manifest]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "podSelector": {"matchLabels": dict(selector)} if selector else {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": list(egress),
        },
    }


def proxy_cilium_policy(
    name: str, namespace: str, selector: Mapping[str, str], allowlist: Sequence[str], own: Sequence[Manifest] = ()
) -> Manifest:
    """For a cluster with Cilium: the proxy's pod connects to the names and addresses of the allowlist only.

    selector: the labels of the proxy's pod, never those of a job's. own: further rules that this pod needs, in Cilium's
    form. Cilium learns the addresses of names from the answers to the queries that the DNS rule lets pass, so the rule
    has the same names. A name is enforced by its addresses: another name at the same address passes, and only the
    proxy's own check of names stops it. Raises Invalid for an entry that is not one.
    """
    entries = [parse_entry(text) for text in allowlist]
    named = [entry for entry in entries if entry.network is None]
    egress: list[Manifest] = list(own)
    if named:
        egress.append(_dns_rule(named))
        egress += [{"toFQDNs": [_name_rule(entry)], "toPorts": _ports(entry)} for entry in named]
    for entry in entries:
        if entry.network is not None:
            egress.append({"toCIDR": [str(entry.network)], "toPorts": _ports(entry)})
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"endpointSelector": {"matchLabels": dict(selector)}, "egress": egress or [{}]},
    }


def _dns_rule(entries: Sequence[Entry]) -> Manifest:
    resolver = {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"}
    names = list({tuple(_name_rule(entry).items()): _name_rule(entry) for entry in entries}.values())
    ports = {"ports": [{"port": str(DNS_PORT), "protocol": "ANY"}], "rules": {"dns": names}}
    return {"toEndpoints": [{"matchLabels": resolver}], "toPorts": [ports]}


def _name_rule(entry: Entry) -> Mapping[str, str]:
    """Patterns mean in Cilium what they mean in the allowlist."""
    name = ".".join(entry.labels)
    return {"matchPattern": name} if "*" in name else {"matchName": name}


def _ports(entry: Entry) -> Sequence[Manifest]:
    ports = DEFAULT_PORTS if entry.port is None else (entry.port,)
    return [{"ports": [{"port": str(port), "protocol": "TCP"} for port in ports]}]
