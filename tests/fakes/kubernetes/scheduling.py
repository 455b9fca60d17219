"""The scheduler's decision for one pod, with its sentences."""

from collections.abc import Sequence

from tests.fakes.kubernetes.api_errors import Json
from tests.fakes.kubernetes.quantities import amount


def place(pod: Json, nodes: Sequence[Json], pods: Sequence[Json]) -> tuple[str, str]:
    """The node for a pod, and "" with the scheduler's sentence where there is none. pods: those of the cluster."""
    causes: dict[str, int] = {}
    for node in nodes:
        found = _refusals(pod, node, pods)
        if not found:
            return node["metadata"]["name"], ""
        for cause in found:
            causes[cause] = causes.get(cause, 0) + 1
    if not nodes:
        return "", "no nodes available to schedule pods"
    text = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
    helpful = any(cause.startswith("Insufficient") for cause in causes)
    hint = (
        f"{len(nodes)} No preemption victims found for incoming pod"
        if helpful
        else f"{len(nodes)} Preemption is not helpful for scheduling"
    )
    return "", f"0/{len(nodes)} nodes are available: {text}. preemption: 0/{len(nodes)} nodes are available: {hint}."


def _refusals(pod: Json, node: Json, pods: Sequence[Json]) -> list[str]:
    labels, spec = node["metadata"].get("labels") or {}, pod["spec"]
    if node["spec"].get("unschedulable"):
        return ["node(s) were unschedulable"]
    for taint in node["spec"].get("taints") or []:
        if taint["effect"] in ("NoSchedule", "NoExecute") and not _tolerates(spec, taint):
            return ["node(s) had untolerated taint(s)"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return ["node(s) didn't match Pod's node affinity/selector"]
    allocatable, found = node["status"]["allocatable"], []
    name = node["metadata"]["name"]
    here = [
        one
        for one in pods
        if one["spec"].get("nodeName") == name and one["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    if len(here) >= int(allocatable["pods"]):
        found.append("Too many pods")
    for key in ("cpu", "memory", "ephemeral-storage"):
        wanted = requests_of(pod, key)
        if wanted and wanted + sum(requests_of(one, key) for one in here) > amount(allocatable[key]):
            found.append(f"Insufficient {key}")
    return found


def _tolerates(spec: Json, taint: Json) -> bool:
    for one in spec.get("tolerations") or []:
        same_key = one.get("key") in (None, "", taint["key"])
        same_value = one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", "")
        if same_key and same_value and one.get("effect", taint["effect"]) in ("", taint["effect"]):
            return True
    return False


def requests_of(pod: Json, key: str) -> float:
    """What a pod requests of a resource."""
    return sum(
        amount(((one.get("resources") or {}).get("requests") or {}).get(key, "0")) for one in pod["spec"]["containers"]
    )
