"""Settings, and objects as a real cluster of version 1.36 has sent them (docs/design/kubernetes.md)."""

from typing import Any

from danube_pkg import __version__
from danube_pkg.adapters.runtimes.kubernetes import KubernetesSettings, names
from danube_pkg.adapters.runtimes.kubernetes.manifests import pod_manifest, worker_manifest
from danube_pkg.core.runtimes.pods import Container, ContainerRole, PodSpec
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import spec_of

INSTANCE = "0123456789abcdef"
POD_ID = "pod-1"

SETTINGS = KubernetesSettings(
    instance=INSTANCE,
    version=__version__,
    coordinator_image="danube.internal/coordinator:1",
    connection=lambda token: {"token": token, "server": "10.0.0.1:9090"},
    default_image="debian:12",
)


def pod_object(spec: PodSpec | None = None, **status: Any) -> dict[str, Any]:
    """A pod of that specification, as the cluster has it."""
    made = pod_manifest(spec or spec_of(POD_ID), SETTINGS, user_namespaces=True)
    made["metadata"]["uid"] = "uid-1"
    made["status"] = {"phase": "Pending", **status}
    return made


def with_worker(pod: dict[str, Any], number: int = 1, image: str = "node:20") -> dict[str, Any]:
    """The same pod with an ephemeral container."""
    container = Container(POD_ID, number, ContainerRole.WORKER, image)
    pod["spec"].setdefault("ephemeralContainers", []).append(worker_manifest(container, SETTINGS, image))
    return pod


def status(name: str, image_id: str = "", **state: Any) -> dict[str, Any]:
    """The status of one container: `running={}`, `waiting={…}` or `terminated={…}`."""
    return {"name": name, "state": state, "imageID": image_id, "image": "", "ready": False, "restartCount": 0}


def running(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod when every container that it has runs."""
    pod["status"] |= {
        "phase": "Running",
        "podIP": "10.1.0.7",
        "containerStatuses": [status(names.COORDINATOR, running={})],
        "ephemeralContainerStatuses": [
            status(one["name"], running={}) for one in pod["spec"].get("ephemeralContainers", ())
        ],
    }
    return pod


def disrupted(reason: str, message: str = "") -> list[dict[str, str]]:
    """The conditions of a pod that something else ends."""
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]


def rooted() -> PodSpec:
    """A pod whose steps run as root."""
    return replace(spec_of(POD_ID), run_as_root=True)
