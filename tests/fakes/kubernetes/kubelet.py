"""The node, and the controllers that act on its pods: scheduler, kubelet, the removal of pods of a node that is
gone."""

import asyncio
import contextlib
from pathlib import Path

from tests.fakes.kubernetes.api_errors import Json
from tests.fakes.kubernetes.images import FakeImages
from tests.fakes.kubernetes.pod_status import set_condition
from tests.fakes.kubernetes.pod_worker import Ending, PodWorker
from tests.fakes.kubernetes.processes import ContainerProcess
from tests.fakes.kubernetes.resources import EVENTS, NODES, PODS
from tests.fakes.kubernetes.scheduling import place
from tests.fakes.kubernetes.store import ObjectStore, now_text

_ADDRESSES = 250


class Kubelet:
    """Runs the pods of the cluster's one node. directory: for their volumes and containers."""

    def __init__(self, store: ObjectStore, directory: Path) -> None:
        self.store = store
        self.images = FakeImages()
        self.directory = directory
        self.address = "127.0.0.1"
        self.name = "node-1"
        self.pull_retry_seconds = 10.0
        """Between two pulls of an image that was refused."""
        self.scan_seconds = 10.0
        """Between two scans of what pods have written."""
        self.lost = False
        self.runs_pods = True
        """Without it pods are Running without a process, for tests with many."""
        self.workers: dict[str, PodWorker] = {}
        self._count = 0
        self._unscheduled: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Act on every change of a pod or a node until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scan(), name="kubelet-scan")
            with self.store.changes() as changed:
                at = 0
                while True:
                    changed.clear()
                    version = self.store.version
                    pods = self._changed_pods(at)
                    at = version
                    for pod in pods:
                        self._act(group, pod)
                    await changed.wait()

    def _changed_pods(self, at: int) -> list[Json]:
        """The pods that changed after a version, and those without a node, for which there may be room now."""
        if at < self.store.oldest:
            return self.store.list_objects(PODS)
        changes = self.store.since(at)
        keys = {
            (one["metadata"]["namespace"], one["metadata"]["name"])
            for change in changes
            for one in [change.after or change.before]
            if change.resource is PODS and one is not None
        }
        if any(change.resource in (PODS, NODES) for change in changes):
            keys |= self._unscheduled
        found = [self.store.find(PODS, *key) for key in sorted(keys)]
        return [one for one in found if one is not None]

    def _act(self, group: asyncio.TaskGroup, pod: Json) -> None:
        if not pod["spec"].get("nodeName"):
            if pod["metadata"].get("deletionTimestamp"):
                self.finish_deletion(pod)
            else:
                self._schedule(pod)
            return
        uid = pod["metadata"]["uid"]
        worker = self.workers.get(uid)
        ended = pod["status"].get("phase") in ("Succeeded", "Failed")
        if worker is None:
            if not ended and self.runs_pods and not pod["metadata"].get("deletionTimestamp"):
                self._count += 1
                address = f"127.77.{self._count // _ADDRESSES}.{self._count % _ADDRESSES + 1}"
                worker = self.workers[uid] = PodWorker(self, pod, address)
                group.create_task(self._run(worker), name=f"pod-{pod['metadata']['name']}")
            elif pod["metadata"].get("deletionTimestamp"):
                self.finish_deletion(pod)
            return
        worker.update(pod)
        if pod["metadata"].get("deletionTimestamp"):
            worker.end(Ending(grace_seconds=pod["metadata"].get("deletionGracePeriodSeconds", 30), deleted=True))

    async def _run(self, worker: PodWorker) -> None:
        await worker.run()
        del self.workers[worker.metadata["uid"]]
        found = self.store.find(PODS, worker.metadata["namespace"], worker.metadata["name"])
        if found is not None and found["metadata"].get("deletionTimestamp") and not self.lost:
            self.finish_deletion(found)

    def finish_deletion(self, pod: Json) -> None:
        """Remove a deleted pod once none of its processes is left and no finalizer holds it."""
        metadata = pod["metadata"]
        if metadata["uid"] in self.workers or metadata.get("finalizers"):
            return
        if self.store.find(PODS, metadata["namespace"], metadata["name"]) is not None:
            self.store.remove(PODS, metadata["namespace"], metadata["name"])

    def _schedule(self, pod: Json) -> None:
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        name, sentence = place(pod, self.store.list_objects(NODES), self.store.list_objects(PODS))
        self._unscheduled.add(key)
        if name:
            self._unscheduled.discard(key)
            pod["spec"]["nodeName"] = name
            set_condition(pod, "PodScheduled", True)
            namespace = pod["metadata"]["namespace"]
            message = f"Successfully assigned {namespace}/{pod['metadata']['name']} to {name}"
            self.record(pod, "Normal", "Scheduled", message)
        else:
            if any(one.get("message") == sentence for one in pod["status"].get("conditions") or []):
                return
            set_condition(pod, "PodScheduled", False, reason="Unschedulable", message=sentence)
            self.record(pod, "Warning", "FailedScheduling", sentence)
        self.store.update(PODS, pod)

    def record(self, pod: Json, kind: str, reason: str, message: str) -> None:
        """Write an event about a pod."""
        metadata, component = pod["metadata"], "default-scheduler" if "chedul" in reason else "kubelet"
        now = now_text()
        involved = {"kind": "Pod", "apiVersion": "v1", "uid": metadata["uid"]}
        involved |= {"namespace": metadata["namespace"], "name": metadata["name"]}
        made: Json = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"namespace": metadata["namespace"], "generateName": f"{metadata['name']}."},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": kind,
            "source": {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": self.name,
        }
        self.store.create(EVENTS, made)

    def container(self, pod: Json, name: str) -> ContainerProcess | None:
        """The process of a container; None where it has none."""
        worker = self.workers.get(pod["metadata"]["uid"])
        return worker.process(name) if worker is not None else None

    async def _scan(self) -> None:
        while True:
            await asyncio.sleep(self.scan_seconds)
            self.scan_disks()

    def scan_disks(self) -> None:
        """Evict the pods that have written more than they may, as the kubelet does at its next scan."""
        for worker in list(self.workers.values()):
            if cause := worker.excess():
                self.record(worker.pod, "Warning", "Evicted", cause)
                worker.end(Ending("Evicted", cause, 1.0, has_condition=False))

    def evict(self, namespace: str, name: str, message: str) -> None:
        """End a pod for a lack of resources of the node."""
        for worker in self.workers.values():
            if (worker.metadata["namespace"], worker.metadata["name"]) == (namespace, name):
                self.record(worker.pod, "Warning", "Evicted", message)
                worker.end(Ending("Evicted", message, 1.0))

    async def stop(self, running: "asyncio.Task[None]") -> None:
        """Cancel `run`, and wait until no process of a pod is left."""
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
