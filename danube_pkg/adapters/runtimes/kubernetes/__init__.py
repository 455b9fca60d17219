"""Pods in a cluster, by the official package `kubernetes`, which nothing else imports.

The manifests and the reading of statuses are pure; one watch for each namespace knows all pods; an exec carries bytes.
"""

from danube_pkg.adapters.runtimes.kubernetes.access import ClusterAccess
from danube_pkg.adapters.runtimes.kubernetes.access_check import check_access
from danube_pkg.adapters.runtimes.kubernetes.api_errors import RIGHTS_HINT
from danube_pkg.adapters.runtimes.kubernetes.cluster_network import ClusterNetwork, ClusterNetworkOptions
from danube_pkg.adapters.runtimes.kubernetes.network import PodNetwork
from danube_pkg.adapters.runtimes.kubernetes.runtime import KubernetesRuntime
from danube_pkg.adapters.runtimes.kubernetes.settings import KubernetesSettings

__all__ = [
    "RIGHTS_HINT",
    "ClusterAccess",
    "ClusterNetwork",
    "ClusterNetworkOptions",
    "KubernetesRuntime",
    "KubernetesSettings",
    "PodNetwork",
    "check_access",
]
