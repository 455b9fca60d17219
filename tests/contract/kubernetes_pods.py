"""Clusters for the suite of the API server: the fake, and a real one where KUBECONFIG names it."""

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster
from tests.support.kubernetes_api import SECONDS, Json, KubernetesClient, open_client

CLUSTERS = ["fake", *([pytest.param("real", marks=pytest.mark.long)] if "KUBECONFIG" in os.environ else [])]
"""What the suites run over."""

CONTEXT: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the level `restricted` asks of a container."""


@dataclass(frozen=True, slots=True)
class ClusterUnderTest:
    """fake: None for a real cluster. image: one with a shell, id, cat, sleep and dd. namespace: with the level
    `restricted`."""

    client: KubernetesClient
    fake: FakeCluster | None
    namespace: str
    image: str

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def pod(self, name: str, command: Sequence[str] = ("/bin/sh", "-c", "exec sleep 1000"), **spec: Any) -> Json:
        """A pod that the level `restricted` admits. spec: further fields of its spec."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": False,
                "containers": [self.container("main", command)],
                **spec,
            },
        }

    def container(self, name: str, command: Sequence[str], **fields: Any) -> Json:
        made = {"name": name, "image": self.image, "command": list(command), "securityContext": dict(CONTEXT)}
        return {**made, "imagePullPolicy": "IfNotPresent", **fields}

    async def create(self, pod: Json) -> str:
        """Create a pod; its path."""
        made = await self.client.create(self.pods, pod, fieldValidation="Strict")
        assert made.status == 201, made.message
        return f"{self.pods}/{pod['metadata']['name']}"

    async def running(self, pod: Json) -> str:
        """Create a pod and wait until all of its containers run; its path."""
        path = await self.create(pod)

        def runs(found: Json) -> bool:
            states = [one["state"] for one in found["status"].get("containerStatuses") or [{"state": {}}]]
            return all("running" in state for state in states)

        await self.client.wait_pod(path, "all containers run", runs)
        return path

    async def ended(self, path: str, seconds: float = SECONDS) -> Json:
        """The status of a pod that has ended."""

        def has_ended(pod: Json) -> bool:
            return pod["status"]["phase"] in ("Succeeded", "Failed")

        found = await self.client.wait_pod(path, "ended", has_ended, seconds)
        status: Json = found["status"]
        return status

    async def add_ephemeral(self, path: str, *containers: Json) -> None:
        body = {"spec": {"ephemeralContainers": list(containers)}}
        made = await self.client.patch(f"{path}/ephemeralcontainers", body)
        assert made.status == 200, made.message


@asynccontextmanager
async def open_cluster_under_test(name: str, directory: Path) -> AsyncIterator[ClusterUnderTest]:
    """name: `fake` or `real`. A real one gets a namespace of its own, which is removed at the end."""
    if name == "fake":
        async with open_cluster(directory) as cluster, open_client(cluster.kubeconfig) as client:
            yield ClusterUnderTest(client, cluster, "danube-jobs", "registry.test/tools:1")
        return
    async with open_client(Path(os.environ["KUBECONFIG"])) as client:
        namespace = f"danube-test-{secrets.token_hex(4)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": namespace, "labels": labels}
        await client.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        try:
            async with client.watch(accounts) as events:
                async for _ in events:  # pods are refused before the namespace's account exists
                    break
            yield ClusterUnderTest(client, None, namespace, os.environ["DANUBE_TEST_IMAGE"])
        finally:
            await client.delete(f"/api/v1/namespaces/{namespace}")


def status_of(pod: Json, section: str, name: str) -> Json:
    """The status of one container, with an empty state where it has none. section: `containerStatuses`, …"""
    found: list[Json] = [one for one in pod["status"].get(section) or [] if one["name"] == name]
    return found[0] if found else {"state": {}}
