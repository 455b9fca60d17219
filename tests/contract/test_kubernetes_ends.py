"""How pods end on a Kubernetes node: each cause leaves its own marks in the pod's status.

What one node of a real cluster shows by itself runs there too; what must be ordered runs on the fake alone.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.kubernetes_pods import CLUSTERS, ClusterUnderTest, open_cluster_under_test, status_of
from tests.fakes.kubernetes.cluster import FakeCluster
from tests.support.kubernetes_api import SECONDS, Json

NODE_GONE = "error dialing backend"


@pytest_asyncio.fixture(params=CLUSTERS)
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ClusterUnderTest]:
    async with open_cluster_under_test(request.param, tmp_path / "cluster") as made:
        yield made


@pytest_asyncio.fixture
async def fake(tmp_path: Path) -> AsyncIterator[tuple[ClusterUnderTest, FakeCluster]]:
    """What only the fake can be ordered to do."""
    async with open_cluster_under_test("fake", tmp_path / "cluster") as made:
        assert made.fake is not None
        yield made, made.fake


def condition_of(status: Json, kind: str) -> Json:
    found: list[Json] = [one for one in status["conditions"] if one["type"] == kind]
    return found[0] if found else {}


async def ended_after_scan(cluster: ClusterUnderTest, path: str) -> Json:
    """The status of a pod that has written too much. The fake's kubelet scans when it is ordered to, a real one
    each ten seconds."""
    await cluster.client.wait_pod(path, "written", lambda pod: pod["status"]["phase"] == "Running")
    if cluster.fake is not None:
        await cluster.client.exec(path, ["/bin/sh", "-c", "until [ -e /tmp/written ]; do :; done"], container="main")
        cluster.fake.kubelet.scan_disks()
    return await cluster.ended(path, SCAN_SECONDS)


SCAN_SECONDS = 90.0
"""A real kubelet has seen what was written after 10 to 40 s, on a busy machine later."""

WRITE = "head -c 10000000 /dev/zero > $0/big; touch /tmp/written; exec sleep 1000"


async def test_a_full_volume_evicts_the_pod(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("full", ("/bin/sh", "-c", WRITE, "/w"), volumes=[{"name": "w", "emptyDir": {"sizeLimit": "5Mi"}}])
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "w", "mountPath": "/w"}]
    status = await ended_after_scan(cluster, await cluster.create(pod))
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"] == 'Usage of EmptyDir volume "w" exceeds the limit "5Mi". '
    assert condition_of(status, "DisruptionTarget") == {}


async def test_too_much_written_outside_of_volumes_evicts_the_pod(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("full", ("/bin/sh", "-c", WRITE, "/tmp"))
    pod["spec"]["containers"][0]["resources"] = {"limits": {"ephemeral-storage": "5Mi"}}
    status = await ended_after_scan(cluster, await cluster.create(pod))
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert "ephemeral local storage usage exceeds the total limit of containers 5Mi. " in status["message"]


async def test_a_deadline_ends_the_pod(cluster: ClusterUnderTest) -> None:
    path = await cluster.create(cluster.pod("late", activeDeadlineSeconds=1))
    status = await cluster.ended(path)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


async def test_a_deadline_ends_a_pod_whose_container_never_started(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("late", activeDeadlineSeconds=1)
    pod["spec"]["containers"].append(
        cluster.container("other", ("/bin/true",), image="no.such.registry.invalid/none:1")
    )
    path = await cluster.create(pod)
    assert (await cluster.ended(path))["reason"] == "DeadlineExceeded"

    def end(found: Json) -> Json | None:
        return status_of(found, "containerStatuses", "other")["state"].get("terminated")

    found = end(await cluster.client.wait_pod(path, "the container's end", end))  # a real kubelet writes it later
    assert found is not None
    assert (found["exitCode"], found["reason"]) == (137, "ContainerStatusUnknown")


async def test_an_eviction_by_the_api_keeps_the_exit_code(cluster: ClusterUnderTest) -> None:
    command = ("/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
    pod = cluster.pod("drained", command, terminationGracePeriodSeconds=10)
    pod["metadata"]["finalizers"] = ["danube.dev/test"]
    path = await cluster.running(pod)
    await cluster.client.exec(path, ["/bin/true"], container="main")
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "drained"}}
    made = await cluster.client.create(f"{path}/eviction", body)
    assert made.status == 201
    status = await cluster.ended(path)
    assert condition_of(status, "DisruptionTarget")["reason"] == "EvictionByEvictionAPI"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    await cluster.client.patch(path, {"metadata": {"finalizers": None}}, "merge")
    await cluster.client.wait_gone(path)


async def test_a_finalizer_keeps_a_deleted_pod_readable(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("held")
    pod["metadata"]["finalizers"] = ["danube.dev/test"]
    path = await cluster.running(pod)
    await cluster.client.delete(path)
    status = await cluster.ended(path)
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert (await cluster.client.get(path)).document["metadata"]["deletionTimestamp"]
    await cluster.client.patch(path, {"metadata": {"finalizers": None}}, "merge")
    await cluster.client.wait_gone(path)


async def test_a_deleted_pod_gets_a_signal_and_its_grace_period(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("polite", ("/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"))
    path = await cluster.running(pod)
    seen: list[Json] = []
    async with cluster.client.watch(cluster.pods) as events, asyncio.timeout(SECONDS):
        await cluster.client.delete(path, {"gracePeriodSeconds": 15})
        async for event in events:
            seen.append(event["object"])
            if event["type"] == "DELETED":
                break
    ends = [status_of(one, "containerStatuses", "main")["state"].get("terminated") for one in seen]
    assert [end["exitCode"] for end in ends if end][-1:] == [0]


# --- ordered


async def test_a_kill_for_memory_names_its_container(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    path = await cluster.running(cluster.pod("hungry"))
    made.kill_for_memory(cluster.namespace, "hungry", "main")
    state = (await cluster.ended(path))["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (137, "OOMKilled")


async def test_a_killed_child_leaves_the_exit_code_of_pid_1(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    pod = cluster.pod("hungry")
    pod["spec"]["containers"].append(
        cluster.container("other", ("/bin/sh", "-c", "until [ -e /tmp/end ]; do sleep 0.05; done; exit 7"))
    )
    path = await cluster.running(pod)
    made.kill_for_memory(cluster.namespace, "hungry", "other", child_only=True)
    await cluster.client.exec(path, ["/bin/sh", "-c", "touch /tmp/end"], container="other")
    found = await cluster.client.wait_pod(
        path, "ended", lambda pod: "terminated" in status_of(pod, "containerStatuses", "other")["state"]
    )
    state = status_of(found, "containerStatuses", "other")["state"]["terminated"]
    assert (state["exitCode"], state["reason"], found["status"]["phase"]) == (7, "OOMKilled", "Running")


async def test_preemption_marks_and_deletes_the_pod(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    pod = cluster.pod("unimportant")
    pod["metadata"]["finalizers"] = ["danube.dev/test"]
    path = await cluster.running(pod)
    made.preempt(cluster.namespace, "unimportant")
    status = await cluster.ended(path)
    assert condition_of(status, "DisruptionTarget")["reason"] == "PreemptionByScheduler"


async def test_a_lost_node_is_seen_in_conditions_and_refuses_exec(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    path = await cluster.running(cluster.pod("far"))
    made.lose_node()
    node = (await cluster.client.get("/api/v1/nodes")).document["items"][0]
    assert node["status"]["conditions"][0]["status"] == "Unknown"
    status = (await cluster.client.get(path)).document["status"]
    assert (status["phase"], condition_of(status, "Ready")["reason"]) == ("Running", "NodeNotReady")
    refusal = await cluster.client.get(f"{path}/exec", container="main", command="true")
    assert (refusal.status, NODE_GONE in refusal.message) == (500, True)
    made.evict_from_lost_node()
    found = (await cluster.client.get(path)).document
    assert condition_of(found["status"], "DisruptionTarget")["reason"] == "DeletionByTaintManager"
    assert found["metadata"]["deletionTimestamp"]


async def test_pods_of_a_removed_node_are_removed(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    path = await cluster.running(cluster.pod("far"))
    async with cluster.client.watch(cluster.pods) as events, asyncio.timeout(SECONDS):
        assert (await anext(events))["type"] == "ADDED"
        made.remove_node()
        async for event in events:
            if event["type"] == "DELETED":
                break
    assert condition_of(event["object"]["status"], "DisruptionTarget")["reason"] == "DeletionByPodGC"
    assert (await cluster.client.get(path)).status == 404


async def test_a_compacted_version_is_an_error_event(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    version = (await cluster.client.get(cluster.pods)).document["metadata"]["resourceVersion"]
    await cluster.running(cluster.pod("one"))
    made.compact()
    async with cluster.client.watch(cluster.pods, resourceVersion=version) as events, asyncio.timeout(SECONDS):
        found = [event async for event in events]
    assert [(one["type"], one["object"]["code"], one["object"]["reason"]) for one in found] == [
        ("ERROR", 410, "Expired")
    ]
    assert found[0]["object"]["message"].startswith("too old resource version")


async def test_an_idle_watch_has_bookmarks(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    made.watches.bookmark_seconds = 0.05
    async with cluster.client.watch(cluster.pods, allowWatchBookmarks="true") as events, asyncio.timeout(SECONDS):
        found = await anext(events)
    assert (found["type"], found["object"]["kind"]) == ("BOOKMARK", "Pod")
    assert int(found["object"]["metadata"]["resourceVersion"]) > 1


@pytest.mark.parametrize(("status", "reason"), [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError")])
async def test_requests_are_refused_as_ordered(
    fake: tuple[ClusterUnderTest, FakeCluster], status: int, reason: str
) -> None:
    cluster, made = fake
    made.faults.refuse(status, "GET", "pods")
    refusal = await cluster.client.get(cluster.pods)
    assert (refusal.status, refusal.document["reason"]) == (status, reason)
    assert ("Retry-After" in refusal.headers) == (status == 429)
    assert (await cluster.client.get(cluster.pods)).status == 200


async def test_a_lost_answer_leaves_what_was_done(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, made = fake
    made.faults.refuse(500, "POST", "pods", after=True)
    assert (await cluster.client.create(cluster.pods, cluster.pod("one"))).status == 500
    assert (await cluster.client.create(cluster.pods, cluster.pod("one"))).status == 409


async def test_a_quota_refuses_a_pod_by_its_name(fake: tuple[ClusterUnderTest, FakeCluster]) -> None:
    cluster, _ = fake
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    path = f"/api/v1/namespaces/{cluster.namespace}/resourcequotas"
    assert (await cluster.client.create(path, quota)).status == 201
    await cluster.create(cluster.pod("one"))
    refusal = await cluster.client.create(cluster.pods, cluster.pod("two"))
    cause = "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"
    assert (refusal.status, refusal.message) == (403, f'pods "two" is forbidden: {cause}')
