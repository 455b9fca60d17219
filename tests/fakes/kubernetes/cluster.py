"""A cluster for tests: starts the fake on a free loopback port, and does to it what can happen to a real one."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes.kubernetes.api import FakeApi
from tests.fakes.kubernetes.api_errors import Json
from tests.fakes.kubernetes.exec_channels import Execs
from tests.fakes.kubernetes.faults import Faults
from tests.fakes.kubernetes.kubelet import Kubelet
from tests.fakes.kubernetes.pod_status import set_condition
from tests.fakes.kubernetes.resources import NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS, ApiResource, ApiTarget
from tests.fakes.kubernetes.store import ObjectStore, now_text
from tests.fakes.kubernetes.watches import Watches

_RESTRICTED = {"danube-jobs": "restricted", "danube-builds": "baseline", "danube-system": "baseline", "default": ""}


class FakeCluster:
    """Use `open_cluster`. url: of the API server. kubeconfig: a file for clients."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = ObjectStore()
        self.faults = Faults()
        self.kubelet = Kubelet(self.store, directory / "pods")
        self.images = self.kubelet.images
        self.watches = Watches(self.store)
        self.execs = Execs(self.faults)
        self.token = secrets.token_hex(16)
        self.api = FakeApi(self.store, self.kubelet, self.faults, self.watches, self.execs, self.token)
        self.url = ""
        self.kubeconfig = directory / "kubeconfig"
        self._add_node()
        for name, level in _RESTRICTED.items():
            self.add_namespace(name, level)

    def add_namespace(self, name: str, level: str = "") -> None:
        """A namespace with its service account. level: what Pod Security enforces, "" for nothing."""
        labels = {"kubernetes.io/metadata.name": name}
        if level:
            labels["pod-security.kubernetes.io/enforce"] = level
        made: Json = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}
        self.store.create(NAMESPACES, {**made, "spec": {}, "status": {"phase": "Active"}})
        account = {"name": "default", "namespace": name}
        self.store.create(SERVICE_ACCOUNTS, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": account})

    def _add_node(self) -> None:
        size = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "512Gi"}
        condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": now_text()}
        status: Json = {
            "capacity": size,
            "allocatable": dict(size),
            "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": self.kubelet.address}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "containerRuntimeVersion": "containerd://2.1.9"},
            "runtimeHandlers": [{"name": "", "features": {"userNamespaces": True}}],
        }
        labels = {"kubernetes.io/hostname": self.kubelet.name, "kubernetes.io/os": "linux"}
        metadata = {"name": self.kubelet.name, "labels": labels}
        made: Json = {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": status}
        self.store.create(NODES, made)

    # --- what happens to a cluster

    def pod(self, namespace: str, name: str) -> Json:
        """Raises ApiError 404."""
        return self.store.get(PODS, namespace, name)

    def pods(self, namespace: str = "danube-jobs") -> list[Json]:
        """The pods of a namespace."""
        return self.store.list_objects(PODS, namespace)

    def objects(self, resource: ApiResource, namespace: str = "") -> list[Json]:
        return self.store.list_objects(resource, namespace)

    def evict(self, namespace: str, name: str, message: str) -> None:
        """The kubelet evicts a pod, as for a lack of disk or memory on the node."""
        self.kubelet.evict(namespace, name, message)

    def kill_for_memory(self, namespace: str, name: str, container: str, *, child_only: bool = False) -> None:
        """The kernel kills PID 1 of a container. child_only: another process of it, so that its state
        names this reason only once PID 1 exits."""
        process = self.kubelet.container(self.pod(namespace, name), container)
        assert process is not None
        process.killed_for_memory = True
        if not child_only:
            process.kill()

    def kill_container(self, namespace: str, name: str, container: str) -> None:
        """An administrator of the node kills PID 1 of a container."""
        process = self.kubelet.container(self.pod(namespace, name), container)
        assert process is not None
        process.kill()

    def delete_pod(self, namespace: str, name: str, grace_seconds: int | None = None) -> None:
        """A user deletes a pod."""
        self.api.delete(ApiTarget(PODS, namespace, name), grace_seconds)

    def preempt(self, namespace: str, name: str) -> None:
        """The scheduler makes room for a pod of a higher priority."""
        message = "default-scheduler: preempting to accommodate a higher priority pod"
        self.api.disruptions.mark(ApiTarget(PODS, namespace, name), "PreemptionByScheduler", message)
        self.api.delete(ApiTarget(PODS, namespace, name))

    def lose_node(self) -> None:
        """The node stops reporting: nothing of its pods is seen or reached any more."""
        self.kubelet.lost = True
        node = self.store.get(NODES, "", self.kubelet.name)
        now, message = now_text(), "Kubelet stopped posting node status."
        node["status"]["conditions"] = [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": message,
                "lastTransitionTime": now,
            }
        ]
        taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": now}
        node["spec"]["taints"] = [{**taint, "effect": "NoSchedule"}, taint]
        self.store.update(NODES, node)
        self.execs.drop_all()
        for pod in self.store.list_objects(PODS):
            set_condition(pod, "Ready", False, reason="NodeNotReady", message="Node is not ready")
            self.store.update(PODS, pod)

    def evict_from_lost_node(self) -> None:
        """The taint manager deletes the pods of a lost node, five minutes later on a real cluster."""
        for pod in self.store.list_objects(PODS):
            target = ApiTarget(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            message = "Taint manager: deleting due to NoExecute taint"
            self.api.disruptions.mark(target, "DeletionByTaintManager", message)
            self.api.delete(target)

    def remove_node(self) -> None:
        """The node's object is removed; the garbage collector of pods fails and removes what was bound to it."""
        self.kubelet.lost = True
        self.store.remove(NODES, "", self.kubelet.name)
        for pod in self.store.list_objects(PODS):
            message = "PodGC: node no longer exists"
            set_condition(pod, "DisruptionTarget", True, reason="DeletionByPodGC", message=message)
            pod["status"]["phase"] = "Failed"
            self.store.update(PODS, pod)
            self.api.delete(ApiTarget(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"]), 0)

    def compact(self) -> None:
        """Forget the history of changes, as etcd does every five minutes."""
        self.store.compact()

    def drop_streams(self) -> None:
        """Cut every watch and every exec."""
        self.watches.drop_all()
        self.execs.drop_all()

    def write_kubeconfig(self) -> None:
        user: dict[str, Any] = {"token": self.token}
        found = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "danube", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "danube"}}],
        }
        self.kubeconfig.write_text(json.dumps(found))
        self.kubeconfig.chmod(0o600)


@asynccontextmanager
async def open_cluster(directory: Path) -> AsyncIterator[FakeCluster]:
    """A cluster that serves on a free loopback port. No process of a pod is left at the end.

    directory: for the volumes of pods and the kubeconfig; it is created.
    """
    (directory / "pods").mkdir(parents=True, exist_ok=True)
    cluster = FakeCluster(directory)
    runner = web.AppRunner(cluster.api.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    cluster.url = f"http://127.0.0.1:{port}"
    cluster.write_kubeconfig()
    running = asyncio.create_task(cluster.kubelet.run(), name="fake-kubelet")
    try:
        yield cluster
    finally:
        cluster.drop_streams()
        await runner.cleanup()
        await cluster.kubelet.stop(running)
        await cluster.execs.close()
