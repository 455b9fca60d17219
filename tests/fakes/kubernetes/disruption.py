"""What refuses pods or marks their end beside their owners: quotas and disruption budgets."""

from tests.fakes.kubernetes.api_errors import ApiError, Json, forbidden, too_many_requests
from tests.fakes.kubernetes.kubelet import Kubelet
from tests.fakes.kubernetes.pod_status import set_condition
from tests.fakes.kubernetes.resources import PODS, RESOURCES, ApiTarget
from tests.fakes.kubernetes.store import ObjectStore


class Disruptions:
    """The controllers that act on pods. evictions_allowed: what a disruption budget leaves."""

    def __init__(self, store: ObjectStore, kubelet: Kubelet) -> None:
        self._store = store
        self._kubelet = kubelet
        self.evictions_allowed = True

    def check_budget(self) -> None:
        """Raises ApiError 429 where a budget forbids evictions."""
        if self.evictions_allowed:
            return
        error = too_many_requests(10)
        error.status["message"] = "Cannot evict pod as it would violate the pod's disruption budget."
        cause = "The disruption budget budget needs 1 healthy pods and has 1 currently"
        error.status["details"] = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
        raise error

    def check_quota(self, pod: Json) -> None:
        """Raises ApiError 403 where the namespace's quota of pods is used up."""
        namespace = pod["metadata"]["namespace"]
        for quota in self._store.list_objects(RESOURCES["resourcequotas"], namespace):
            limit = quota["spec"]["hard"].get("pods")
            alive = [
                one
                for one in self._store.list_objects(PODS, namespace)
                if one["status"].get("phase") not in ("Succeeded", "Failed")
            ]
            if limit is not None and len(alive) + 1 > int(limit):
                name = quota["metadata"]["name"]
                cause = f"exceeded quota: {name}, requested: pods=1, used: pods={len(alive)}, limited: pods={limit}"
                raise self._refusal(pod, cause)

    def _refusal(self, pod: Json, cause: str) -> ApiError:
        return forbidden("pods", pod["metadata"].get("name", ""), cause)

    def mark(self, target: ApiTarget, reason: str, message: str) -> None:
        """Give a pod the condition `DisruptionTarget`."""
        found = self._store.get(PODS, target.namespace, target.name)
        set_condition(found, "DisruptionTarget", True, reason=reason, message=message)
        self._store.update(PODS, found)
