"""How a Kubernetes API server and its node behave, as the Kubernetes runtime relies on it.

The fake is held to it in each run, a real cluster where KUBECONFIG names one (and DANUBE_TEST_IMAGE an image with a
shell that its node has).
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.contract.kubernetes_pods import CLUSTERS, ClusterUnderTest, open_cluster_under_test, status_of
from tests.support.kubernetes_api import SECONDS


@pytest_asyncio.fixture(params=CLUSTERS)
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ClusterUnderTest]:
    async with open_cluster_under_test(request.param, tmp_path / "cluster") as made:
        yield made


# --- requests


async def test_a_plain_pod_is_refused_with_all_violations(cluster: ClusterUnderTest) -> None:
    spec = {"containers": [{"name": "main", "image": cluster.image}]}
    refusal = await cluster.client.create(cluster.pods, {"metadata": {"name": "plain"}, "spec": spec})
    assert (refusal.status, refusal.document["reason"]) == (403, "Forbidden")
    assert refusal.message == (
        'pods "plain" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'
        ' (container "main" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities'
        ' (container "main" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container'
        ' "main" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "main" must set'
        ' securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )


async def test_unknown_fields_are_refused_with_strict_validation_only(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("odd")
    pod["spec"]["containers"][0]["imagePullPolice"] = "Never"
    refusal = await cluster.client.create(cluster.pods, pod, fieldValidation="Strict")
    assert (refusal.status, refusal.document["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.containers[0].imagePullPolice"' in refusal.message
    assert (await cluster.client.create(cluster.pods, pod, fieldValidation="Ignore")).status == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
        ({"volumes": [{"name": "A", "emptyDir": {}}]}, "spec.volumes[0].name"),
    ],
)
async def test_wrong_values_are_refused_with_their_field(
    cluster: ClusterUnderTest, change: dict[str, Any], field: str
) -> None:
    refusal = await cluster.client.create(cluster.pods, cluster.pod("wrong", **change))
    assert (refusal.status, refusal.document["reason"]) == (422, "Invalid")
    assert field in [cause["field"] for cause in refusal.document["details"]["causes"]]


async def test_names_are_unique_and_absent_objects_are_not_found(cluster: ClusterUnderTest) -> None:
    await cluster.create(cluster.pod("one"))
    again = await cluster.client.create(cluster.pods, cluster.pod("one"))
    assert (again.status, again.document["reason"]) == (409, "AlreadyExists")
    absent = await cluster.client.get(f"{cluster.pods}/none")
    assert (absent.status, absent.message) == (404, 'pods "none" not found')


async def test_an_outdated_object_is_a_conflict(cluster: ClusterUnderTest) -> None:
    path = await cluster.create(cluster.pod("one"))
    body = {"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}}
    refusal = await cluster.client.patch(path, body, "merge")
    assert (refusal.status, refusal.document["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refusal.message


async def test_lists_select_by_label(cluster: ClusterUnderTest) -> None:
    for name, colour in (("one", "red"), ("two", "blue")):
        pod = cluster.pod(name)
        pod["metadata"]["labels"] = {"colour": colour}
        await cluster.create(pod)
    found = await cluster.client.get(cluster.pods, labelSelector="colour=red")
    assert [one["metadata"]["name"] for one in found.document["items"]] == ["one"]
    assert int(found.document["metadata"]["resourceVersion"]) > 1


async def test_a_secret_is_removed_with_its_owner(cluster: ClusterUnderTest) -> None:
    path = await cluster.create(cluster.pod("owner"))
    uid = (await cluster.client.get(path)).document["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "owner", "uid": uid}
    secrets_path = f"/api/v1/namespaces/{cluster.namespace}/secrets"
    metadata = {"name": "owned", "ownerReferences": [owner]}
    made = await cluster.client.create(secrets_path, {"metadata": metadata, "stringData": {"token": "abc"}})
    assert made.document["data"] == {"token": "YWJj"}
    await cluster.client.delete(path)
    await cluster.client.wait_gone(f"{secrets_path}/owned")


# --- watches


async def test_a_watch_continues_from_a_version(cluster: ClusterUnderTest) -> None:
    version = (await cluster.client.get(cluster.pods)).document["metadata"]["resourceVersion"]
    await cluster.create(cluster.pod("one"))
    async with cluster.client.watch(cluster.pods, resourceVersion=version) as events, asyncio.timeout(SECONDS):
        first = await anext(events)
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "one")


async def test_initial_events_end_with_a_bookmark(cluster: ClusterUnderTest) -> None:
    await cluster.create(cluster.pod("one"))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with cluster.client.watch(cluster.pods, **query) as events, asyncio.timeout(SECONDS):
        async for event in events:
            if event["type"] == "BOOKMARK":
                break
    assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(event["object"]["metadata"]["resourceVersion"]) > 1
    refusal = await cluster.client.get(cluster.pods, watch="true", sendInitialEvents="true")
    assert refusal.status == 422


async def test_what_no_longer_matches_is_deleted_for_a_watch(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("one")
    pod["metadata"]["labels"] = {"colour": "red"}
    path = await cluster.create(pod)
    async with cluster.client.watch(cluster.pods, labelSelector="colour=red") as events, asyncio.timeout(SECONDS):
        assert (await anext(events))["type"] == "ADDED"
        await cluster.client.patch(path, {"metadata": {"labels": {"colour": "blue"}}})
        async for event in events:
            if event["type"] == "DELETED":
                break
    assert event["object"]["metadata"]["name"] == "one"


# --- running


async def test_init_containers_run_first_and_share_volumes(cluster: ClusterUnderTest) -> None:
    mount = [{"name": "shared", "mountPath": "/shared"}]
    pod = cluster.pod("ordered", volumes=[{"name": "shared", "emptyDir": {}}])
    command = ("/bin/sh", "-c", "echo given > /shared/file; echo all good > /dev/termination-log")
    pod["spec"]["initContainers"] = [cluster.container("first", command, volumeMounts=mount)]
    pod["spec"]["containers"] = [cluster.container("main", ("/bin/sh", "-c", "cat /shared/file"), volumeMounts=mount)]
    status = await cluster.ended(await cluster.create(pod))
    init = status["initContainerStatuses"][0]["state"]["terminated"]
    assert (init["exitCode"], init["reason"], init["message"]) == (0, "Completed", "all good\n")
    assert (status["phase"], status["containerStatuses"][0]["state"]["terminated"]["exitCode"]) == ("Succeeded", 0)


async def test_a_pod_waits_for_its_secret(cluster: ClusterUnderTest) -> None:
    pod = cluster.pod("waiting", ("/bin/sh", "-c", "cat /secret/token > /dev/termination-log"))
    pod["spec"]["volumes"] = [{"name": "secret", "secret": {"secretName": "later"}}]
    mounts = [{"name": "secret", "mountPath": "/secret", "readOnly": True}]
    pod["spec"]["containers"][0]["volumeMounts"] = mounts
    path = await cluster.create(pod)

    def is_waiting(found: dict[str, object]) -> bool:
        state = status_of(found, "containerStatuses", "main")["state"]
        return bool(state.get("waiting", {}).get("reason") == "ContainerCreating")

    await cluster.client.wait_pod(path, "waiting", is_waiting)
    body = {"metadata": {"name": "later"}, "stringData": {"token": "abc"}}
    await cluster.client.create(f"/api/v1/namespaces/{cluster.namespace}/secrets", body)
    status = await cluster.ended(path)
    assert status["containerStatuses"][0]["state"]["terminated"]["message"] == "abc"


async def test_a_pod_without_a_node_says_why(cluster: ClusterUnderTest) -> None:
    path = await cluster.create(cluster.pod("picky", nodeSelector={"no": "such"}))

    def condition(found: dict[str, object]) -> dict[str, str]:
        conditions = found["status"].get("conditions", [])  # type: ignore[attr-defined]
        return next((one for one in conditions if one["type"] == "PodScheduled"), {})

    found = await cluster.client.wait_pod(path, "unschedulable", lambda pod: condition(pod).get("status") == "False")
    assert condition(found)["reason"] == "Unschedulable"
    assert condition(found)["message"].startswith(
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    )


async def test_user_namespaces_work_and_the_node_says_so(cluster: ClusterUnderTest) -> None:
    status = await cluster.ended(await cluster.create(cluster.pod("mapped", ("/bin/true",), hostUsers=False)))
    assert status["phase"] == "Succeeded"
    nodes = (await cluster.client.get("/api/v1/nodes")).document["items"]
    assert any(handler["features"]["userNamespaces"] for handler in nodes[0]["status"]["runtimeHandlers"])


# --- exec


async def test_exec_carries_both_outputs_and_the_exit_code(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    found = await cluster.client.exec(path, ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], container="main")
    assert (bytes(found.output), bytes(found.errors), found.exit_code) == (b"out\n", b"err\n", 7)
    assert found.status["reason"] == "NonZeroExitCode"
    assert found.close_code in (1000, 1006)  # without a close frame, or with one that a proxy sends


async def test_exec_carries_five_megabytes_exactly(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    given = os.urandom(1 << 10) * 5000
    found = await cluster.client.exec(path, ["/bin/cat"], container="main", given=given)
    assert (found.protocol, found.exit_code, found.output == given) == ("v5.channel.k8s.io", 0, True)


async def test_version_4_of_the_protocol_is_spoken_too(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    protocols = ("v4.channel.k8s.io",)
    found = await cluster.client.exec(
        path, ["/bin/sh", "-c", "head -c 3"], container="main", given=b"abc", protocols=protocols
    )
    assert (found.protocol, found.exit_code, bytes(found.output)) == ("v4.channel.k8s.io", 0, b"abc")


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
async def test_a_missing_program_is_an_internal_error(cluster: ClusterUnderTest, program: str) -> None:
    path = await cluster.running(cluster.pod("one"))
    found = await cluster.client.exec(path, [program], container="main")
    assert (found.status["status"], found.status["reason"]) == ("Failure", "InternalError")
    assert program in found.status["message"]


async def test_an_unknown_container_is_refused_at_the_handshake(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await cluster.client.exec(path, ["/bin/true"], container="other")
    assert refusal.value.status == 400


async def test_an_exec_is_a_child_of_no_process_of_the_container(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    found = await cluster.client.exec(path, ["/bin/sh", "-c", "echo $PPID; id -u"], container="main")
    assert bytes(found.output) == b"0\n1000\n"


# --- ephemeral containers


async def test_an_ephemeral_container_ends_with_its_exit_code(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    await cluster.add_ephemeral(path, cluster.container("extra", ("/bin/sh", "-c", "exit 9")))
    section = "ephemeralContainerStatuses"
    found = await cluster.client.wait_pod(
        path, "ended", lambda pod: "terminated" in status_of(pod, section, "extra")["state"]
    )
    assert status_of(found, section, "extra")["state"]["terminated"]["exitCode"] == 9
    assert found["status"]["phase"] == "Running"


async def test_an_image_that_cannot_be_pulled_leaves_the_pod_running(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    image = "no.such.registry.invalid/none:1"
    await cluster.add_ephemeral(path, cluster.container("extra", ("/bin/true",), image=image))
    section = "ephemeralContainerStatuses"
    found = await cluster.client.wait_pod(
        path,
        "ErrImagePull",
        lambda pod: status_of(pod, section, "extra")["state"].get("waiting", {}).get("reason") == "ErrImagePull",
    )
    assert "no.such.registry.invalid" in status_of(found, section, "extra")["state"]["waiting"]["message"]
    assert found["status"]["phase"] == "Running"


async def test_ephemeral_containers_are_checked_and_never_changed(cluster: ClusterUnderTest) -> None:
    path = await cluster.running(cluster.pod("one"))
    await cluster.add_ephemeral(path, cluster.container("extra", ("/bin/sh", "-c", "exec sleep 1000")))
    limits = {"limits": {"memory": "64Mi"}}
    refused = [
        ({"ephemeralContainers": [cluster.container("more", ("/bin/true",), resources=limits)]}, 422),
        ({"ephemeralContainers": [cluster.container("extra", ("/bin/false",))]}, 422),
        ({"ephemeralContainers": [{"name": "plain", "image": cluster.image}]}, 403),
    ]
    for spec, status in refused:
        refusal = await cluster.client.patch(f"{path}/ephemeralcontainers", {"spec": spec})
        assert refusal.status == status, refusal.message
