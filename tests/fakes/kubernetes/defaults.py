"""What the API server adds to objects that are created: defaults of the types, and what admission adds."""

from typing import Any

from tests.fakes.kubernetes.api_errors import ApiError, Json, forbidden

_TOLERATED_SECONDS = 300


def set_pod_defaults(pod: Json) -> None:
    """Fills in a new pod, in place."""
    spec, name = pod["spec"], pod["metadata"].get("name") or pod["metadata"].get("generateName", "")
    for field, value in _pod_fields().items():
        spec.setdefault(field, value)
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        set_container_defaults(container)
        container.setdefault("resources", {})
        limits = container["resources"].get("limits")
        if limits:
            container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
    for volume in spec.get("volumes") or []:
        if volume.get("secret") is not None:
            volume["secret"].setdefault("defaultMode", 0o644)
    for key in ("not-ready", "unreachable"):
        taint = f"node.kubernetes.io/{key}"
        if not any(one.get("key") in (taint, None) for one in spec["tolerations"]):
            spec["tolerations"].append(
                {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_SECONDS}
            )
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    if not spec.get("containers") and not name:
        return
    pod["status"] = {"phase": "Pending", "qosClass": quality_of(spec)}


def _pod_fields() -> dict[str, Any]:
    return {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccountName": "default",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "tolerations": [],
    }


def set_container_defaults(container: Json) -> None:
    """Fills in a container, in place."""
    image = str(container.get("image", ""))
    latest = "@" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest"))
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")


def quality_of(spec: Json) -> str:
    """The quality-of-service class of a pod."""
    found = [
        one.get("resources") or {} for one in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    ]
    if not any(one.get("requests") or one.get("limits") for one in found):
        return "BestEffort"
    full = all(
        {"cpu", "memory"} <= set(one.get("limits") or {})
        and all((one.get("requests") or {}).get(name) == one["limits"][name] for name in ("cpu", "memory"))
        for one in found
    )
    return "Guaranteed" if full else "Burstable"


def require_service_account(pod: Json, known: bool) -> None:
    """Raises ApiError 403 as the admission of service accounts does. known: whether the pod's account exists."""
    if not known:
        raise _no_account(pod)


def _no_account(pod: Json) -> ApiError:
    namespace, account = pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName", "default")
    cause = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
    return forbidden("pods", pod["metadata"].get("name", ""), cause)
