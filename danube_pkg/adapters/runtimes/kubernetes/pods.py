"""Makes and removes pods in a cluster. The state is in the cluster; what is in memory only watches it."""

import time

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.api import Body, ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.cluster_features import ClusterFeatures
from danube_pkg.adapters.runtimes.kubernetes.manifests import (
    namespace_of,
    owner_patch,
    pod_manifest,
    secret_manifests,
)
from danube_pkg.adapters.runtimes.kubernetes.pod_events import PodEvents
from danube_pkg.adapters.runtimes.kubernetes.pod_watch import PodWatch
from danube_pkg.adapters.runtimes.kubernetes.settings import KubernetesSettings
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus, read_pod, start_problem
from danube_pkg.core.errors import Conflict, NotFound, Permanent, Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container, ContainerRole, PodSpec
from danube_pkg.kit.logs import EventLog

STARTS = 3
"""How often a pod is made when its node, a preemption or an administrator ends it before anything has run in it."""

QUIET_SECONDS = 10.0
"""Without a change of the pod's status for so long, its events say what it waits for: a volume, a network."""

DELETE_SECONDS = 30.0
"""For a node to end a pod; it takes about a second and a half."""

CHECK_SECONDS = 5.0
"""Between two requests for a pod that is being removed, should its watch have missed the end."""

_GRACE = {"gracePeriodSeconds": 1}
_AT_ONCE = {"gracePeriodSeconds": 0}

_log = EventLog("danube.kubernetes")


class LostAtStart(Exception):
    """A pod ended before anything ran in it."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ClusterPods:
    """Pods of one data directory."""

    def __init__(
        self,
        settings: KubernetesSettings,
        api: ClusterApi,
        watch: PodWatch,
        events: PodEvents,
        features: ClusterFeatures,
    ) -> None:
        self._settings = settings
        self._api = api
        self._watch = watch
        self._events = events
        self._features = features

    # --- creating

    async def create(self, spec: PodSpec) -> PodStatus:
        """The pod, with a running coordinator. Raises Permanent, Unavailable."""
        await self._watch.synced()
        for left in reversed(range(STARTS)):
            self._events.starting(spec.pod_id)
            try:
                pod = await self._started(await self._ensured(spec), spec)
                self._events.started(self._watch.pods.get(spec.pod_id, pod))
                return pod
            except LostAtStart as loss:
                if not left:
                    hint = "rerun the job when the cluster has settled: danube rerun JOB"
                    what = f"{STARTS} pods ended before anything ran in them"
                    raise Permanent(loss.reason, what, cause=str(loss), hint=hint) from loss
                self._notify(spec, f"the pod ended before anything ran in it, and is made again: {loss}")
                await self.remove(spec.pod_id)
        raise AssertionError

    async def _ensured(self, spec: PodSpec) -> PodStatus:
        """The pod's object, made or found. One that has ended is removed first."""
        namespace, name = namespace_of(spec, self._settings), names.object_name(spec.pod_id)
        found = await self._find(namespace, name)
        if found is not None:
            status = self._watch.seen(found)
            if not status.has_ended and status.deleted_at is None:
                await self._own_secrets(spec, status)
                return status
            await self.remove(spec.pod_id)
        for secret in secret_manifests(spec, self._settings):
            await self._post(f"/api/v1/namespaces/{namespace}/secrets", secret, replaces=True)
        namespaces = await self._features.user_namespaces()
        manifest = pod_manifest(spec, self._settings, user_namespaces=namespaces)
        made = await self._post(f"/api/v1/namespaces/{namespace}/pods", manifest)
        status = self._watch.seen(made)
        await self._own_secrets(spec, status)
        return status

    async def _post(self, path: str, manifest: Body, *, replaces: bool = False) -> Body:
        """Make an object. One that exists is taken, or replaced where what it contains may be old."""
        try:
            return await self._api.post(path, manifest)
        except Conflict:
            name = f"{path}/{manifest['metadata']['name']}"
            found = await self._api.get(name)
            self._check_owner(found)
            if not replaces:
                return found
            await self._gone(name)
            return await self._api.post(path, manifest)

    async def _own_secrets(self, spec: PodSpec, pod: PodStatus) -> None:
        """The Secrets go with the pod from now on. A pod that was found may have lost its own."""
        path, owner = f"/api/v1/namespaces/{pod.namespace}/secrets", owner_patch(pod.name, pod.uid)
        for secret in secret_manifests(spec, self._settings):
            try:
                await self._api.patch(f"{path}/{secret['metadata']['name']}", owner)
            except NotFound:
                await self._post(path, {**secret, "metadata": {**secret["metadata"], **owner["metadata"]}})

    async def _started(self, pod: PodStatus, spec: PodSpec) -> PodStatus:
        """Wait until the coordinator runs; what the pod waits for is written into the job's log when it changes."""
        coordinator = Container(spec.pod_id, 0, ContainerRole.COORDINATOR, "")
        end, problem_since, said = time.monotonic() + self._settings.start_seconds, 0.0, ""
        while True:
            change = _Change(self._watch, pod, coordinator, said)
            left = end - time.monotonic()
            changed = await self._watch.wait(change.found, max(0.0, min(QUIET_SECONDS, left)))
            now = changed or change.current()
            if now.runs(coordinator):
                return now
            problem_since = self._judged(now, coordinator, problem_since)
            if now.waiting and now.waiting != said:
                self._notify(spec, f"the pod {now.waiting}")
            said = now.waiting
            if left <= 0:
                hint = "see its events: kubectl describe pod; the nodes must have room for its requests"
                what = f"the pod did not start within {self._settings.start_seconds:.0f} s"
                cause = said or "the cluster gives no reason"
                raise Permanent(Reason.POD_FAILED, what, cause=cause, hint=hint)
            if changed is None and not said and (warning := await self._warning(pod)):
                self._notify(spec, f"the pod waits: {warning}")

    def _judged(self, pod: PodStatus, coordinator: Container, since: float) -> float:
        """When the coordinator's image could first not be pulled; 0 while nothing is wrong. Raises what is final."""
        if pod.start_problem:
            hint = (
                "load the coordinator image of this version into the nodes, or push it: [kubernetes] coordinator_image"
            )
            raise Permanent(Reason.POD_FAILED, "the pod cannot start", cause=pod.start_problem, hint=hint)
        if pod.cause is not None:
            raise LostAtStart(*pod.cause)
        status = pod.status_of(coordinator)
        problem = start_problem(status) if status is not None else None
        if pod.has_ended:
            raise LostAtStart(Reason.POD_LOST, "its containers ended")
        if problem is None:
            return 0.0
        since = since or time.monotonic()
        if problem.lasting or time.monotonic() - since > self._settings.pull_seconds:
            hint = "load the coordinator image into the nodes, or push it: [kubernetes] coordinator_image"
            what = f"the coordinator image {self._settings.coordinator_image} cannot be used"
            raise Permanent(problem.reason, what, cause=problem.message, hint=hint)
        return since

    async def _warning(self, pod: PodStatus) -> str:
        """The latest warning about a pod; "" where the account may not read events."""
        selector = f"involvedObject.uid={pod.uid},type=Warning"
        try:
            found = await self._api.get(f"/api/v1/namespaces/{pod.namespace}/events", fieldSelector=selector)
        except (Permanent, Unavailable):
            return ""
        events = sorted(found.get("items") or (), key=lambda one: str(one.get("lastTimestamp") or ""))
        return str(events[-1].get("message", "")) if events else ""

    def _notify(self, spec: PodSpec, message: str) -> None:
        self._events.notify(spec.pod_id, spec.job_id, message)

    # --- removing

    async def remove(self, pod_id: str) -> None:
        """Remove every object of a pod; returns when no process of it is left. Raises Unavailable while one is."""
        self._events.removing(pod_id)
        name = names.object_name(pod_id)
        for namespace in self._settings.namespaces:
            found = await self._find(namespace, name)
            if found is not None:
                await self._remove_pod(read_pod(found), found)
            for secret in (name, names.build_secret(pod_id), names.pull_secret(pod_id)):
                await self._gone(f"/api/v1/namespaces/{namespace}/secrets/{secret}")
        self._watch.forget(pod_id)
        self._events.removed(pod_id)

    async def _remove_pod(self, pod: PodStatus, found: Body) -> None:
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        kept = [one for one in found["metadata"].get("finalizers") or () if one != names.FINALIZER]
        if kept != found["metadata"].get("finalizers"):
            await self._patched(path, {"metadata": {"finalizers": kept or None}})
        await self._gone(path, _GRACE)
        if await self._is_gone(pod, DELETE_SECONDS):
            return
        if await self._features.is_node_lost(pod.node):  # its kubelet will not confirm the end of anything
            _log.warning("pod-removed-by-force", pod=pod.pod_id, node=pod.node)
            await self._gone(path, _AT_ONCE)
            if await self._is_gone(pod, CHECK_SECONDS):
                return
        hint = f"see why: kubectl --namespace {pod.namespace} describe pod {pod.name}"
        raise Unavailable("pod-not-gone", f"the pod {pod.name} is being removed, and is not gone yet", hint=hint)

    async def _is_gone(self, pod: PodStatus, seconds: float) -> bool:
        """Whether the object is gone, which it is when its kubelet has ended every process."""

        def gone() -> bool | None:
            known = self._watch.pods.get(pod.pod_id)
            return True if known is None or known.uid != pod.uid else None

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if await self._watch.wait(gone, min(CHECK_SECONDS, end - time.monotonic())):
                return True
            found = await self._find(pod.namespace, pod.name)
            if found is None or read_pod(found).uid != pod.uid:
                self._watch.forget(pod.pod_id)
                return True
        return False

    async def _find(self, namespace: str, name: str) -> Body | None:
        """The pod's object, None where there is none. Raises Permanent for one of another Danube."""
        try:
            found = await self._api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        except NotFound:
            return None
        self._check_owner(found)
        return found

    def _check_owner(self, found: Body) -> None:
        metadata = found.get("metadata", {})
        if metadata.get("labels", {}).get(names.INSTANCE) != self._settings.instance:
            what = f"the object {metadata.get('name')} of namespace {metadata.get('namespace')} is another Danube's"
            raise Permanent("object-of-another", what, hint="two servers must not share a copied data directory")

    async def _gone(self, path: str, options: Body | None = None) -> None:
        try:
            await self._api.delete(path, options)
        except NotFound:
            return

    async def _patched(self, path: str, patch: Body) -> None:
        try:
            await self._api.patch(path, patch)
        except NotFound:
            return


class _Change:
    """What is new about a pod that starts."""

    def __init__(self, watch: PodWatch, pod: PodStatus, coordinator: Container, said: str) -> None:
        self._watch = watch
        self._pod = pod
        self._coordinator = coordinator
        self._said = said

    def current(self) -> PodStatus:
        """The status as last reported. Raises LostAtStart for a pod that is gone."""
        now = self._watch.pods.get(self._pod.pod_id)
        if now is None or now.uid != self._pod.uid:
            raise LostAtStart(Reason.POD_LOST, "it was removed without Danube")
        return now

    def found(self) -> PodStatus | None:
        """The status, once it decides something or has another sentence. Raises as `current` does."""
        now = self.current()
        status = now.status_of(self._coordinator)
        problem = start_problem(status) if status is not None else None
        decides = now.runs(self._coordinator) or now.cause is not None or now.has_ended or now.start_problem
        is_new = now.waiting != self._said or (problem is not None and problem.lasting)
        return now if decides or is_new else None
