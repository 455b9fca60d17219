"""Chooses the runtime by danube.toml and by what this machine has, and says why."""

import os
from pathlib import Path

from danube_pkg.core.configuration.settings import RuntimeKind, Settings
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.choice import ClusterFacts, RuntimeChoice, choose_cluster

K3S_KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
K3S_MANIFESTS = Path("/var/lib/rancher/k3s/server/manifests")
"""Where K3s keeps what it applies; a K3s that was installed with Danube has manifests of Danube there. Any other K3s of
the machine is not taken without being named."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where a cluster mounts the account of a pod."""


def find_facts() -> ClusterFacts:
    """What this machine has."""
    is_ours = any(K3S_MANIFESTS.glob("danube*.yaml")) and os.access(K3S_KUBECONFIG, os.R_OK)
    return ClusterFacts(K3S_KUBECONFIG if is_ours else None, SERVICE_ACCOUNT.is_file())


def choose_runtime(settings: Settings, facts: ClusterFacts | None = None) -> RuntimeChoice:
    """Raises Permanent where a cluster is configured and none is named."""
    kind = settings.runtime.kind
    if kind is RuntimeKind.SANDBOX:
        return RuntimeChoice(None, '[runtime] kind is "sandbox"')
    found = choose_cluster(settings.runtime.kubeconfig, settings.kubernetes.context, facts or find_facts())
    if found is not None:
        return found
    if kind is RuntimeKind.KUBERNETES:
        raise Permanent(
            "cluster-not-named",
            'danube.toml wants jobs on Kubernetes ([runtime] kind = "kubernetes"), and no cluster is named',
            hint='name it: [runtime] kubeconfig = "FILE"; or [runtime] kind = "sandbox"',
        )
    return RuntimeChoice(None, "no cluster is configured ([runtime] kubeconfig)")
