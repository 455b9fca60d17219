"""What the nodes of a cluster can do, as far as Danube's account may see them."""

import time
from collections.abc import Mapping
from typing import Any

from danube_pkg.adapters.runtimes.kubernetes.api import ClusterApi
from danube_pkg.core.errors import Permanent, Retryable

KEPT_SECONDS = 300.0
"""Nodes come and go; what all of them can do seldom changes."""


def has_user_namespaces(node: Mapping[str, Any]) -> bool:
    """Whether the default runtime of a node supports `hostUsers: false`
    (https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/)."""
    handlers = node.get("status", {}).get("runtimeHandlers") or ()
    return any(not one.get("name") and one.get("features", {}).get("userNamespaces") for one in handlers)


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a node reports to its cluster."""
    conditions = node.get("status", {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


class ClusterFeatures:
    """user_namespaces: as configured; None to find out."""

    def __init__(self, api: ClusterApi, user_namespaces: bool | None) -> None:
        self._api = api
        self._configured = user_namespaces
        self._found = False
        self._found_at: float | None = None

    async def user_namespaces(self) -> bool:
        """Whether every node has them. An account that may not see nodes counts as one without."""
        if self._configured is not None:
            return self._configured
        now = time.monotonic()
        if self._found_at is None or now - self._found_at > KEPT_SECONDS:
            try:
                nodes, _ = await self._api.list_all("/api/v1/nodes", "")
                self._found = bool(nodes) and all(map(has_user_namespaces, nodes))
            except (Permanent, Retryable):
                self._found = False
            self._found_at = now
        return self._found

    async def is_node_lost(self, name: str) -> bool:
        """Whether a node does not exist or does not report; False where the account may not see it."""
        if not name:
            return False
        try:
            return not is_ready(await self._api.get(f"/api/v1/nodes/{name}"))
        except Permanent as error:
            return error.reference == "cluster-object-missing"
        except Retryable:
            return False
