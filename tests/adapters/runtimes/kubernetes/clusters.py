"""The runtime on a fake cluster, as a server that has just started has it."""

from danube_pkg.adapters.runtimes.kubernetes import ClusterAccess, KubernetesRuntime, KubernetesSettings
from danube_pkg.core.runtimes.choice import ClusterLocation
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.kubernetes.objects import SETTINGS
from tests.adapters.runtimes.sandbox.pods import HEARTBEAT_SECONDS
from tests.fakes.kubernetes.cluster import FakeCluster

NAMESPACE = SETTINGS.namespace


def cluster_settings(**changes: object) -> KubernetesSettings:
    """Short intervals, so that tests are."""
    settings = replace(SETTINGS, heartbeat_ms=round(HEARTBEAT_SECONDS * 1000))
    return replace(settings, **changes)  # type: ignore[arg-type]


def new_cluster_runtime(cluster: FakeCluster, **changes: object) -> KubernetesRuntime:
    """A second one on the same cluster is a restarted server's."""
    return KubernetesRuntime(cluster_settings(**changes), ClusterAccess(ClusterLocation(cluster.kubeconfig)))
