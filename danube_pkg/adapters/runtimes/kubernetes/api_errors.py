"""The errors of a cluster's API as Danube's own. Pure."""

from collections.abc import Mapping
from typing import Any

from danube_pkg.core.errors import Conflict, NotFound, Permanent, PlatformError, Throttled, Unavailable
from danube_pkg.core.reasons import Reason

NAMESPACES_HINT = "kubectl apply -f k3s/namespaces.yaml"
RIGHTS_HINT = "give Danube's account the rights of k3s/rbac.yaml: kubectl apply -f k3s/rbac.yaml"

_RETRY_SECONDS = 1.0
"""For a server that is rate-limiting and does not say for how long."""


class VersionGone(Unavailable):
    """A watch or list that would have to continue from a version that the cluster no longer has (410)."""

    def __init__(self, what: str) -> None:
        super().__init__("resource-version-gone", what)


def refusal(status: int, body: Mapping[str, Any], request: str, retry_after: str = "") -> PlatformError:
    """The error of a response. body: an object `Status`, or nothing of it. request: what was to be done."""
    said = str(body.get("message") or f"HTTP {status}")
    what = f"the cluster refused: {request}"
    match status:
        case 401:
            hint = "check the credentials in the kubeconfig that [runtime] kubeconfig names: kubectl auth whoami"
            return Unavailable("cluster-unauthorized", what, cause=said, hint=hint)
        case 403:
            return _forbidden(what, said)
        case 404:
            return NotFound("cluster-object-missing", what, cause=said, hint=f"make it: {NAMESPACES_HINT}")
        case 409:
            return Conflict("cluster-conflict", what, cause=said, hint="the object exists or has changed; try again")
        case 410:
            return VersionGone(said)
        case 429:
            seconds = float(retry_after) if retry_after.isdecimal() else _RETRY_SECONDS
            return Throttled("cluster-busy", what, retry_seconds=seconds, cause=said)
        case _ if status >= 500:
            return Unavailable("cluster-failing", what, cause=said, hint="kubectl get --raw /readyz?verbose")
    return Permanent(Reason.POD_FAILED, what, cause=said)


def _forbidden(what: str, said: str) -> PlatformError:
    if "exceeded quota" in said:
        hint = "the job waits; raise the namespace's ResourceQuota, or let other jobs end"
        return Unavailable("quota-exceeded", "the namespace's quota has no room for the pod", cause=said, hint=hint)
    if "violates PodSecurity" in said:
        hint = "the namespace needs the labels of k3s/namespaces.yaml: kubectl apply -f k3s/namespaces.yaml"
        return Permanent(Reason.POD_FAILED, "the namespace's Pod Security refuses the pod", cause=said, hint=hint)
    if "being terminated" in said:
        return Unavailable("namespace-terminating", what, cause=said, hint=f"once it is gone: {NAMESPACES_HINT}")
    if "error looking up service account" in said:  # a new namespace, for a moment
        return Unavailable("namespace-not-ready", what, cause=said, hint="it takes a moment after it was made")
    return Permanent(Reason.POD_FAILED, what, cause=said, hint=RIGHTS_HINT)
