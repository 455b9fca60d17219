"""The rights that Danube's account needs in a cluster: what the manifests in `k3s/` grant, and no more."""

from collections.abc import Mapping

REQUIRED_VERBS: Mapping[str, frozenset[str]] = {
    "pods": frozenset({"create", "get", "list", "watch", "patch", "delete"}),
    "pods/exec": frozenset({"create", "get"}),  # since 1.35 a WebSocket needs create; before, get
    "pods/ephemeralcontainers": frozenset({"patch"}),
    "secrets": frozenset({"create", "get", "list", "patch", "delete"}),
    "events": frozenset({"list"}),
    "networkpolicies": frozenset({"create", "delete", "list"}),
}
"""In each namespace with jobs."""

CLUSTER_VERBS: Mapping[str, frozenset[str]] = {"nodes": frozenset({"get", "list"})}
"""Optional: without them pods use no user namespace unless it is configured, and a lost node is noticed later."""
