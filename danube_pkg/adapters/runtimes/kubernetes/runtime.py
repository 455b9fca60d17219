"""Jobs on a cluster: `core.runtimes.ports.Runtime` over the API of Kubernetes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.access import ClusterAccess
from danube_pkg.adapters.runtimes.kubernetes.api import ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.api_errors import RIGHTS_HINT
from danube_pkg.adapters.runtimes.kubernetes.cluster_features import ClusterFeatures
from danube_pkg.adapters.runtimes.kubernetes.exec_stream import HandshakeRefused, WebSocketStream, open_exec
from danube_pkg.adapters.runtimes.kubernetes.leftovers import SWEEP_SECONDS, Leftovers
from danube_pkg.adapters.runtimes.kubernetes.network import PodNetwork
from danube_pkg.adapters.runtimes.kubernetes.pod_events import PodEvents
from danube_pkg.adapters.runtimes.kubernetes.pod_watch import PodWatch
from danube_pkg.adapters.runtimes.kubernetes.pods import ClusterPods
from danube_pkg.adapters.runtimes.kubernetes.settings import KubernetesSettings
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, read_pod
from danube_pkg.adapters.runtimes.kubernetes.workers import ClusterWorkers
from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.errors import NotFound, Permanent, Retryable, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    SUPERVISOR,
    Container,
    ContainerFile,
    ContainerRole,
    Network,
    PodEvent,
    PodSpec,
    PodState,
)
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.tasks import end_all

END_SECONDS = 20.0
"""For a node to report that a container which was ended has ended; it takes about a second."""

OVERDUE_SECONDS = 30.0
"""After the time in which a pod that others delete should have ended. Its node does not report then."""

_log = EventLog("danube.kubernetes")


class KubernetesRuntime:
    """Pods in one namespace of a cluster, and those that run as root in another."""

    name = "kubernetes"

    def __init__(
        self,
        settings: KubernetesSettings,
        access: ClusterAccess,
        network: PodNetwork | None = None,
        pods: PodAddresses | None = None,
    ) -> None:
        self.settings = settings
        self.api = ClusterApi(access)
        self._access = access
        self._network = network or PodNetwork()
        self._watch = PodWatch(self.api, settings.instance, settings.namespaces)
        self._events = PodEvents()
        self._addresses = pods if pods is not None else PodAddresses()
        self._watch.listen(self._events.take)
        self._watch.listen(self._note_address)
        self.features = ClusterFeatures(self.api, settings.user_namespaces)
        self._pods = ClusterPods(settings, self.api, self._watch, self._events, self.features)
        self._workers = ClusterWorkers(settings, self.api, self._watch, self._events.notify)
        self.leftovers = Leftovers(self.api, settings.instance, settings.namespaces)
        self._locks: dict[str, asyncio.Lock] = {}
        self._checked: set[Container] = set()
        self._network.use(self.api, self.exec)

    async def egress_enforced_by(self, pod_id: str) -> EnforcedBy:
        return self._network.enforced_by(pod_id)

    def _note_address(self, pod: PodStatus) -> None:
        if pod.address and not pod.has_ended:
            self._addresses.assign(pod.address, pod.job_id)

    def _lock(self, pod_id: str) -> asyncio.Lock:
        return self._locks.setdefault(pod_id, asyncio.Lock())

    # --- creating

    async def create_pod(self, spec: PodSpec) -> Container:
        if spec.network is Network.HOST:
            hint = 'run it in the sandbox: danube run --network=host, or [runtime] kind = "sandbox"'
            raise Permanent(Reason.POD_FAILED, "a pod in a cluster cannot share the network of its node", hint=hint)
        async with self._lock(spec.pod_id):
            await self._network.before_pod(spec)
            pod = await self._pods.create(spec)
            if notice := await self._network.pod_runs(spec, pod):
                self._events.notify(spec.pod_id, spec.job_id, notice)
            return Container(spec.pod_id, 0, ContainerRole.COORDINATOR, HOST_IMAGE)

    async def ensure_container(
        self, pod_id: str, image: str, files: Sequence[ContainerFile] = (), isolation: int = 0
    ) -> Container:
        if isolation:  # containers of a pod share its network
            what = "a pod in a cluster cannot isolate the legs of a matrix"
            hint = 'leave out isolated=True, or use a server with [runtime] kind = "sandbox"'
            raise Permanent("isolation-unsupported", what, hint=hint)
        container = await self._workers.ensure(pod_id, image, files)
        if container not in self._checked:
            await self._network.worker_runs(container)
            self._checked.add(container)
        return container

    # --- using

    async def exec(self, container: Container, argv: Sequence[str]) -> WebSocketStream:
        await self._watch.synced()
        pod = self._watch.pods.get(container.pod_id)
        if pod is None or not pod.runs(container):
            raise _gone(container)
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec"
        has_ended = partial(self._ended_within, container)
        for is_last in (False, True):
            try:
                return await open_exec(self._access, path, names.container_name(container), argv, has_ended)
            except HandshakeRefused as refused:
                if refused.status == 401 and not is_last:
                    await self._access.reload()
                    continue
                await self._check_runs(pod, container)
                hint = RIGHTS_HINT if refused.status == 403 else ""
                what = f"no exec could be opened in container {container.number} of pod {container.pod_id}"
                cause = f"HTTP {refused.status} {refused}"
                raise Unavailable("exec-refused", what, cause=cause, hint=hint) from refused
        raise AssertionError

    async def _check_runs(self, pod: PodStatus, container: Container) -> None:
        """Raises NotFound unless the cluster has that container running now; the watch may be late."""
        try:
            now = read_pod(await self.api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"))
        except NotFound as error:
            raise _gone(container) from error
        if now.uid != pod.uid or not now.runs(container):
            raise _gone(container)

    async def _ended_within(self, container: Container, seconds: float) -> bool:
        """Whether the watch reports within that time that the container does not run any more."""

        def ended() -> bool | None:
            pod = self._watch.pods.get(container.pod_id)
            return True if pod is None or not pod.runs(container) else None

        return bool(await self._watch.wait(ended, seconds))

    async def memory_kills(self, container: Container) -> int:
        """0: the API does not count them. Where the kernel ends the whole container, as the kubelet has it by default,
        the container's end has the reason."""
        return 0

    async def image_digest(self, container: Container) -> str:
        pod = self._watch.pods.get(container.pod_id)
        status = pod.status_of(container) if pod is not None else None
        _, _, digest = status.image_id.rpartition("@") if status is not None else ("", "", "")
        return digest if digest.startswith("sha256:") else ""

    async def workspace_full(self, container: Container) -> str:
        pod = self._watch.pods.get(container.pod_id)
        cause = pod.cause if pod is not None else None
        return cause[1] if cause is not None and cause[0] is Reason.WORKSPACE_FULL else ""

    async def list_pods(self) -> Sequence[PodState]:
        found: list[PodState] = []
        for namespace in self.settings.namespaces:
            pods, _ = await self.api.list_all(
                f"/api/v1/namespaces/{namespace}/pods", names.selector(self.settings.instance)
            )
            found += [_state_of(read_pod(pod)) for pod in pods]
        return found

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[PodEvent]]:
        await self._watch.synced()
        timing = Timing(SystemClock())
        streak = Streak("leftovers", timing, Pauses(1.0, SWEEP_SECONDS), log=_log.logger)
        sweeping = for_ever(self.leftovers.sweep, streak, timing, expected=(Permanent, Retryable))
        kept = Streak("network", timing, Pauses(1.0, 30.0), log=_log.logger)
        keeping = for_ever(self._keep_network, kept, timing, expected=(Permanent, Retryable))
        async with self._events.open(self._watch.pods.values()) as events:
            loop = asyncio.get_running_loop()
            sweep = loop.create_task(sweeping, name="leftovers in the cluster")
            network = loop.create_task(keeping, name="network of pods in the cluster")
            try:
                yield events
            finally:
                await end_all(sweep, network)

    async def _keep_network(self) -> float:
        await self._network.keep()
        return SWEEP_SECONDS

    # --- removing

    async def end_container(self, container: Container, reason: Reason, message: str) -> None:
        await self._watch.synced()
        pod = self._watch.pods.get(container.pod_id)
        if pod is None or not pod.runs(container):
            return
        self._events.end(container, pod.job_id, reason, message)
        try:
            stream = await self.exec(container, (SUPERVISOR, "end"))
        except NotFound:
            return
        try:
            if not await self._ended_within(container, END_SECONDS):
                what = f"container {container.number} of pod {container.pod_id} does not end"
                hint = f"see why: kubectl --namespace {pod.namespace} describe pod {pod.name}"
                raise Unavailable("container-not-ended", what, hint=hint)
        finally:
            await stream.close()

    async def close_network(self, pod_id: str) -> None:
        what = "the network of a pod in a cluster cannot be closed while it runs"
        raise Permanent("network-not-closed", what, hint="danube run --keep keeps the pod of a run on your machine")

    async def delete_pod(self, pod_id: str) -> None:
        async with self._lock(pod_id):
            known = self._watch.pods.get(pod_id)
            await self._pods.remove(pod_id)
            if known is not None:
                self._addresses.release(known.job_id)
            await self._network.pod_removed(pod_id, known.job_id if known is not None else "")
            self._workers.forget(pod_id)
            self._checked = {known for known in self._checked if known.pod_id != pod_id}
        self._locks.pop(pod_id, None)

    async def conditions(self) -> Sequence[Condition]:
        """That the cluster does not answer: its pods keep running, and jobs wait."""
        error = self._watch.problem
        return [Condition(error.reference, str(error), error.hint)] if error is not None else []

    async def close(self) -> None:
        await self._watch.close()
        await self._access.close()


def _state_of(pod: PodStatus) -> PodState:
    is_overdue = pod.deleted_at is not None and time.time() > pod.deleted_at + OVERDUE_SECONDS
    return pod.state if not is_overdue else PodState(pod.pod_id, pod.job_id, (), complete=False)


def _gone(container: Container) -> NotFound:
    return NotFound("container-gone", f"container {container.number} of pod {container.pod_id} has ended")
