"""The network of pods in a cluster: what must hold before a step runs in one, and what goes with it."""

from collections.abc import Awaitable, Callable, Sequence

from danube_pkg.adapters.runtimes.kubernetes.api import ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.exec_stream import WebSocketStream
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus
from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.runtimes.pods import Container, PodSpec

Execute = Callable[[Container, Sequence[str]], Awaitable[WebSocketStream]]
"""`Runtime.exec`."""


class PodNetwork:
    """Called by the runtime around a pod's life; each call may be repeated. This one enforces nothing, and says so."""

    def use(self, api: ClusterApi, execute: Execute) -> None:
        """What the runtime gives at its start, before any other call."""

    async def keep(self) -> None:
        """Runs beside the watch until it is cancelled. Raises Unavailable, Permanent; it is then restarted."""

    async def before_pod(self, spec: PodSpec) -> None:
        """Before the objects of a pod are made: what a pod needs from its first moment on, such as its policy."""

    async def pod_runs(self, spec: PodSpec, pod: PodStatus) -> str:
        """The coordinator runs and nothing runs in it. Returns a notice for the job's log, "" for none; raises
        Permanent where the network is not as the configuration wants it."""
        return "egress: nothing in this cluster enforces the allowlist"

    async def worker_runs(self, container: Container) -> None:
        """A worker runs, and no step in it yet. Raises as `pod_runs` does."""

    async def pod_removed(self, pod_id: str, job_id: str) -> None:
        """Every object of the pod is gone."""

    def enforced_by(self, pod_id: str) -> EnforcedBy:
        """What was observed of that pod's network; nothing where it was not."""
        return EnforcedBy.NOTHING
