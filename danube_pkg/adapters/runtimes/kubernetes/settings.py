"""What the runtime needs to know of its cluster; made from danube.toml by `bootstrap/runtime.py`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from danube_pkg.core.images.builders import is_builder
from danube_pkg.core.images.reference import HUB
from danube_pkg.kit.records import Record

MAX_WORKERS = 64
"""Worker containers in one pod, ended ones included. Each is a part of the pod's object, which a cluster bounds at
about 1.5 MB; a job with so many images is a mistake."""


class KubernetesSettings(Record):
    """instance: the identity of the data directory. version: of this server, which the coordinator image must have.

    connection: what the coordinator's Secret contains, file name to text, for a job token.
    default_image: what the image `host` stands for; "" refuses it. memory_bytes: the limit of a pod whose pipeline has
    none; a pod without a limit could take the whole node. cpu_request, memory_request_bytes: what a node must have free
    for a pod; never above its limits. user_namespaces: None to find out from the nodes.
    start_seconds: for a pod to be scheduled and its coordinator to run.
    """

    instance: str
    version: str
    coordinator_image: str
    connection: Callable[[str], Mapping[str, str]]
    namespace: str = "danube-jobs"
    builds_namespace: str = "danube-builds"
    default_image: str = ""
    is_builder: Callable[[str], bool] = partial(is_builder, default_host=HUB)
    """Whether steps in an image build images, which takes root."""
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Mapping[str, Any], ...] = ()
    runtime_class: str = ""
    host_aliases: Mapping[str, str] = {}
    memory_bytes: int = 4 * 1024**3
    cpu_request: float = 0.1
    memory_request_bytes: int = 256 * 1024**2
    user_namespaces: bool | None = None
    start_seconds: float = 1800.0
    pull_seconds: float = 120.0
    heartbeat_ms: int = 0
    """Between two heartbeats of a supervisor; 0 for its default."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where this Danube's objects are; each once."""
        return tuple(dict.fromkeys((self.namespace, self.builds_namespace)))
