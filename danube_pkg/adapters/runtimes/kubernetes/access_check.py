"""Asks a cluster what Danube's account may do in it."""

from collections.abc import Sequence

from danube_pkg.adapters.runtimes.kubernetes.access import ClusterAccess
from danube_pkg.adapters.runtimes.kubernetes.access_rights import REQUIRED_VERBS
from danube_pkg.adapters.runtimes.kubernetes.api import ClusterApi

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def check_access(access: ClusterAccess, namespaces: tuple[str, ...]) -> tuple[str, Sequence[str]]:
    """The cluster's version in words, and the missing rights, each as `VERB RESOURCE in NAMESPACE`. Raises Permanent,
    Unavailable."""
    api = ClusterApi(access)
    version = await api.get("/version")
    missing = []
    for namespace in namespaces:
        for resource, verbs in REQUIRED_VERBS.items():
            for verb in sorted(verbs):
                if not await _may(api, namespace, resource, verb):
                    missing.append(f"{verb} {resource} in {namespace}")
    return f"Kubernetes {version.get('gitVersion', 'of an unknown version')}", missing


async def _may(api: ClusterApi, namespace: str, resource: str, verb: str) -> bool:
    name, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "resource": name, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.post(_REVIEWS, review)
    return bool(answer.get("status", {}).get("allowed"))
