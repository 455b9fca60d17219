"""What ends a pod of a cluster, and what the runtime says of it; over the fake API server, by its orders."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from danube_pkg.adapters.runtimes.kubernetes import KubernetesRuntime, names
from danube_pkg.core.errors import NotFound, Permanent, Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import HOST_IMAGE, ContainerEnded, PodEvent, PodNotice
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.kubernetes.clusters import NAMESPACE, new_cluster_runtime
from tests.adapters.runtimes.sandbox.pods import EVENT_SECONDS, new_pod_id, spec_of
from tests.contract.pods import next_event
from tests.fakes.kubernetes.cluster import FakeCluster
from tests.fakes.kubernetes.resources import PODS, SECRETS
from tests.support.waiting import wait_until_async

Order = Callable[[FakeCluster, str], None]


@pytest_asyncio.fixture
async def runtime(cluster: FakeCluster) -> AsyncIterator[KubernetesRuntime]:
    made = new_cluster_runtime(cluster)
    yield made
    await made.close()


def lose_node(cluster: FakeCluster, name: str) -> None:
    cluster.lose_node()
    cluster.evict_from_lost_node()


ORDERS: dict[str, tuple[Order, Reason, str]] = {
    "evicted": (
        lambda cluster, name: cluster.evict(NAMESPACE, name, "The node was low on resource: memory. "),
        Reason.EVICTED,
        "low on resource: memory",
    ),
    "disk": (
        lambda cluster, name: cluster.evict(
            NAMESPACE, name, 'Usage of EmptyDir volume "workspace" exceeds the limit "5Mi". '
        ),
        Reason.WORKSPACE_FULL,
        'exceeds the limit "5Mi"',
    ),
    "memory": (
        lambda cluster, name: cluster.kill_for_memory(NAMESPACE, name, "worker-1"),
        Reason.OUT_OF_MEMORY,
        "was out of memory",
    ),
    "preempted": (lambda cluster, name: cluster.preempt(NAMESPACE, name), Reason.PREEMPTED, "higher priority"),
    "node lost": (lose_node, Reason.NODE_LOST, "does not report"),
    "node removed": (lambda cluster, name: cluster.remove_node(), Reason.NODE_LOST, "removed from the cluster"),
    "deleted by hand": (lambda cluster, name: cluster.delete_pod(NAMESPACE, name), Reason.POD_LOST, "without Danube"),
}


@pytest.mark.parametrize("kind", ORDERS)
async def test_each_end_has_its_own_reason(
    cluster: FakeCluster, runtime: KubernetesRuntime, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, reason, words = ORDERS[kind]
    if kind in (
        "node lost",
        "node removed",
    ):  # no kubelet confirms the end, so the removal waits for as long as it ever does
        monkeypatch.setattr("danube_pkg.adapters.runtimes.kubernetes.pods.DELETE_SECONDS", 0.5)
    spec = spec_of(new_pod_id())
    await runtime.create_pod(spec)
    worker = await runtime.ensure_container(spec.pod_id, HOST_IMAGE)
    async with runtime.watch() as events:
        order(cluster, names.object_name(spec.pod_id))
        found = await end_of_worker(events)
    assert (found.container, found.reason) == (worker, reason)
    assert words in found.message
    with pytest.raises(NotFound):
        await runtime.exec(worker, ("/bin/true",))
    await runtime.delete_pod(spec.pod_id)
    assert cluster.objects(PODS) == []


async def end_of_worker(events: AsyncIterator[PodEvent]) -> ContainerEnded:
    while True:
        found = await next_event(events, ContainerEnded)
        assert isinstance(found, ContainerEnded)
        if found.container.number == 1:
            return found


async def test_the_finalizer_keeps_the_end_for_a_server_that_was_down(cluster: FakeCluster) -> None:
    before = new_cluster_runtime(cluster)
    spec = spec_of(new_pod_id())
    await before.create_pod(spec)
    await before.close()
    cluster.preempt(NAMESPACE, names.object_name(spec.pod_id))
    after = new_cluster_runtime(cluster)
    async with after.watch() as events:
        found = await next_event(events, ContainerEnded)
    assert isinstance(found, ContainerEnded)
    assert found.reason is Reason.PREEMPTED
    await after.delete_pod(spec.pod_id)
    assert cluster.objects(PODS) == []
    await after.close()


async def test_streams_that_are_cut_and_versions_that_are_gone_lose_no_end(
    cluster: FakeCluster, runtime: KubernetesRuntime
) -> None:
    spec = spec_of(new_pod_id())
    await runtime.create_pod(spec)
    await runtime.ensure_container(spec.pod_id, HOST_IMAGE)
    async with runtime.watch() as events:
        cluster.drop_streams()
        cluster.kill_container(NAMESPACE, names.object_name(spec.pod_id), "worker-1")
        cluster.compact()
        assert (await end_of_worker(events)).reason is Reason.POD_LOST
    await runtime.delete_pod(spec.pod_id)


@pytest.mark.parametrize(
    ("status", "after"), [(409, True), (429, False), (429, True), (500, False), (500, True), (0, False), (0, True)]
)
async def test_a_request_that_fails_or_whose_answer_is_lost_makes_one_pod(
    cluster: FakeCluster, runtime: KubernetesRuntime, status: int, after: bool
) -> None:
    cluster.faults.refuse(status, verb="POST", resource="pods", times=1, after=after)
    spec = spec_of(new_pod_id())
    for _ in range(3):
        try:
            await runtime.create_pod(spec)
            break
        except Unavailable:
            continue
    assert len(cluster.objects(PODS)) == 1
    assert [state.complete for state in await runtime.list_pods()] == [True]
    await runtime.delete_pod(spec.pod_id)


async def test_a_pod_that_ends_before_anything_ran_in_it_is_made_again(
    cluster: FakeCluster, runtime: KubernetesRuntime
) -> None:
    cluster.images.slow["danube.internal/coordinator:1"] = 1.0
    spec = spec_of(new_pod_id())
    async with runtime.watch() as events:
        making = asyncio.create_task(runtime.create_pod(spec), name="create")
        await wait_until_async(lambda: cluster.objects(PODS), EVENT_SECONDS, "the pod's object")
        cluster.preempt(NAMESPACE, names.object_name(spec.pod_id))
        notice = await next_event(events, PodNotice)
        cluster.images.slow.clear()
        await making
    assert isinstance(notice, PodNotice)
    assert "made again" in notice.message
    assert "higher priority" in notice.message
    await runtime.delete_pod(spec.pod_id)


async def test_a_pull_that_fails_says_why_within_the_step_and_the_pod_stays(
    cluster: FakeCluster, runtime: KubernetesRuntime
) -> None:
    cluster.images.refused["registry.test/none:1"] = "registry.test/none:1: not found"
    spec = spec_of(new_pod_id())
    coordinator = await runtime.create_pod(spec)
    with pytest.raises(Permanent) as refusal:
        await runtime.ensure_container(spec.pod_id, "registry.test/none:1")
    assert refusal.value.reference == Reason.IMAGE_PULL_FAILED
    assert "registry.test/none:1: not found" in refusal.value.cause
    assert (await runtime.list_pods())[0].containers == (coordinator,)
    await runtime.delete_pod(spec.pod_id)


async def test_two_danubes_share_a_namespace_without_touching_each_other(
    cluster: FakeCluster, runtime: KubernetesRuntime
) -> None:
    other = new_cluster_runtime(cluster, instance="fedcba9876543210")
    own, foreign = spec_of(new_pod_id()), spec_of(new_pod_id())
    await runtime.create_pod(own)
    await other.create_pod(foreign)
    assert [state.pod_id for state in await runtime.list_pods()] == [own.pod_id]
    assert [state.pod_id for state in await other.list_pods()] == [foreign.pod_id]
    with pytest.raises(Permanent) as refusal:
        await runtime.delete_pod(foreign.pod_id)
    assert refusal.value.reference == "object-of-another"
    with pytest.raises(Permanent):
        await runtime.create_pod(replace(foreign, token="another"))
    assert len(cluster.objects(PODS)) == 2
    for one, spec in ((runtime, own), (other, foreign)):
        await one.delete_pod(spec.pod_id)
    await other.close()


async def test_a_secret_without_a_pod_is_removed_by_the_second_sweep(
    cluster: FakeCluster, runtime: KubernetesRuntime
) -> None:
    spec = spec_of(new_pod_id())
    cluster.api.denied.add(("create", "pods"))
    with pytest.raises(Permanent):
        await runtime.create_pod(spec)
    assert len(cluster.objects(SECRETS)) == 1
    await runtime.leftovers.sweep()
    assert len(cluster.objects(SECRETS)) == 1, "its pod may be about to be made"
    await runtime.leftovers.sweep()
    assert cluster.objects(SECRETS) == []


async def test_the_token_is_in_no_object_but_the_secret(cluster: FakeCluster, runtime: KubernetesRuntime) -> None:
    spec = spec_of(new_pod_id())
    await runtime.create_pod(spec)
    await runtime.ensure_container(spec.pod_id, HOST_IMAGE)
    (pod,), (secret,) = cluster.objects(PODS), cluster.objects(SECRETS)
    assert spec.token not in str(pod)
    assert secret["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    await runtime.delete_pod(spec.pod_id)
    assert cluster.objects(SECRETS) == []
