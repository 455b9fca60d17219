"""The status of a pod, as the kubelet writes it: conditions, and a status for each container."""

from collections.abc import Mapping, Sequence

from tests.fakes.kubernetes.api_errors import Json
from tests.fakes.kubernetes.images import FakeImage
from tests.fakes.kubernetes.store import now_text

SECTIONS = {"init": "initContainerStatuses", "main": "containerStatuses", "ephemeral": "ephemeralContainerStatuses"}
FIELDS = {"init": "initContainers", "main": "containers", "ephemeral": "ephemeralContainers"}


def set_condition(pod: Json, kind: str, status: bool, *, reason: str = "", message: str = "") -> None:
    """Set a condition in place; its time changes with its status."""
    conditions: list[Json] = pod["status"].setdefault("conditions", [])
    text = "True" if status else "False"
    before = next((one for one in conditions if one["type"] == kind), None)
    made: Json = {"type": kind, "status": text, "lastProbeTime": None, "lastTransitionTime": now_text()}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    if before is not None and before["status"] == text:
        made["lastTransitionTime"] = before["lastTransitionTime"]
    pod["status"]["conditions"] = [*(one for one in conditions if one["type"] != kind), made]


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running() -> Json:
    return {"running": {"startedAt": now_text()}}


def terminated(code: int, started: str, *, reason: str = "", message: str = "", container_id: str = "") -> Json:
    """The state of a container that has ended. started: its `startedAt`."""
    made: Json = {"exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error")}
    if message:
        made["message"] = message
    made |= {"startedAt": started or None, "finishedAt": now_text() if started else None}
    if container_id:
        made["containerID"] = container_id
    return {"terminated": made}


def container_status(
    container: Json, state: Json, *, image: FakeImage | None, container_id: str, ephemeral: bool
) -> Json:
    """One entry of `containerStatuses`."""
    is_running = "running" in state
    name = container["image"]
    full = name if "/" in name else f"docker.io/library/{name}"
    made: Json = {
        "name": container["name"],
        "image": full if image is not None else name,
        "imageID": f"{full.partition('@')[0].rpartition(':')[0] or full}@{image.digest}" if image is not None else "",
        "lastState": {},
        "ready": is_running and not ephemeral,
        "restartCount": 0,
        "state": state,
    }
    if not ephemeral:
        made["started"] = is_running
    if container_id:
        made["containerID"] = container_id
    return made


def set_phase(pod: Json, states: Mapping[str, Mapping[str, Json]], *, stopped: bool) -> None:
    """Derive phase and conditions from the states of the containers, by section and name, in place.

    stopped: whether no container can be running; a pod has no final phase before.
    """
    status, spec = pod["status"], pod["spec"]
    init = [states["init"].get(one["name"], {}) for one in spec.get("initContainers") or []]
    main = [states["main"].get(one["name"], {}) for one in spec["containers"]]
    failed = [one for one in init if one.get("terminated", {}).get("exitCode")]
    initialized = all("terminated" in one for one in init) and not failed
    names = [one["name"] for one, state in zip(spec["containers"], main, strict=True) if "running" not in state]
    if stopped and failed:
        status["phase"] = "Failed"
    elif stopped and initialized and all("terminated" in one for one in main):
        codes = [one["terminated"]["exitCode"] for one in main]
        status["phase"] = "Failed" if any(codes) else "Succeeded"
    elif any("running" in one or "terminated" in one for one in main):
        status["phase"] = "Running"
    _set_conditions(pod, initialized, names)


def _set_conditions(pod: Json, initialized: bool, unready: Sequence[str]) -> None:
    done = pod["status"]["phase"] in ("Succeeded", "Failed")
    if initialized:
        set_condition(pod, "Initialized", True, reason="PodCompleted" if pod["status"]["phase"] == "Succeeded" else "")
    else:
        names = " ".join(one["name"] for one in pod["spec"].get("initContainers") or [])
        message = f"containers with incomplete status: [{names}]"
        set_condition(pod, "Initialized", False, reason="ContainersNotInitialized", message=message)
    for kind in ("Ready", "ContainersReady"):
        if done:
            reason = "PodCompleted" if pod["status"]["phase"] == "Succeeded" else "PodFailed"
            set_condition(pod, kind, False, reason=reason)
        elif unready:
            message = f"containers with unready status: [{' '.join(unready)}]"
            set_condition(pod, kind, False, reason="ContainersNotReady", message=message)
        else:
            set_condition(pod, kind, True)
