"""Removes objects of this data directory whose pod does not exist: what an interrupted creation has left."""

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.api import Body, ClusterApi
from danube_pkg.core.errors import NotFound
from danube_pkg.kit.logs import EventLog

SWEEP_SECONDS = 300.0
"""Between two sweeps. What two of them find is left over: a pod is made within seconds of its Secret."""

KINDS = (("/api/v1", "secrets"), ("/apis/networking.k8s.io/v1", "networkpolicies"))
"""Base path and resource of what belongs to a pod."""

_log = EventLog("danube.kubernetes")


class Leftovers:
    """The objects that the last sweep has found without a pod."""

    def __init__(
        self, api: ClusterApi, instance: str, namespaces: tuple[str, ...], kinds: tuple[tuple[str, str], ...] = KINDS
    ) -> None:
        self._api = api
        self._selector = names.selector(instance)
        self._namespaces = namespaces
        self._kinds = kinds
        self._found: frozenset[str] = frozenset()

    async def sweep(self) -> float:
        """Removes what was found by the last sweep too; returns the seconds until the next one. Raises Unavailable,
        Permanent."""
        found: set[str] = set()
        for namespace in self._namespaces:
            for base, resource in self._kinds:
                path = f"{base}/namespaces/{namespace}/{resource}"
                objects, _ = await self._api.list_all(path, self._selector)
                pods, _ = await self._api.list_all(f"/api/v1/namespaces/{namespace}/pods", self._selector)
                living = {_pod_of(one) for one in pods}
                found |= {f"{path}/{one['metadata']['name']}" for one in objects if _pod_of(one) not in living}
        for path in found & self._found:
            _log.warning("object-without-pod", path=path)
            try:
                await self._api.delete(path)
            except NotFound:
                continue
        self._found = frozenset(found - self._found)
        return SWEEP_SECONDS


def _pod_of(found: Body) -> str:
    return str(found["metadata"].get("labels", {}).get(names.POD, ""))
