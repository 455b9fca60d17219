"""Checks a cluster for `danube doctor`; imported only where one is chosen."""

from collections.abc import Sequence

from danube_pkg.adapters.runtimes.kubernetes import RIGHTS_HINT, ClusterAccess, check_access
from danube_pkg.core.configuration.cluster_settings import ClusterSettings
from danube_pkg.core.runtimes.choice import ClusterLocation

__all__ = ["RIGHTS_HINT", "check_cluster"]


async def check_cluster(location: ClusterLocation, settings: ClusterSettings) -> tuple[str, Sequence[str]]:
    """What answers, and the rights that the account lacks. Raises Permanent, Unavailable."""
    access = ClusterAccess(location)
    try:
        return await check_access(access, tuple(dict.fromkeys((settings.namespace, settings.builds_namespace))))
    finally:
        await access.close()
