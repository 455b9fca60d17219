"""Builders of images in a pod of the fake cluster."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.builders import CONFIG_PATH
from danube_pkg.core.runtimes.pods import HOST_IMAGE, ContainerFile, RegistryLogin
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of
from tests.contract.pods import KubernetesPods
from tests.fakes.kubernetes.cluster import FakeCluster
from tests.fakes.kubernetes.resources import PODS, SECRETS

KANIKO = "gcr.io/kaniko-project/executor:latest"
FILES = (ContainerFile(CONFIG_PATH, "the credential"),)


@pytest_asyncio.fixture
async def pods(cluster: FakeCluster) -> AsyncIterator[KubernetesPods]:
    made = KubernetesPods(cluster)
    yield made
    await made.runtime.close()


async def test_a_builder_is_root_beside_workers_that_are_not(cluster: FakeCluster, pods: KubernetesPods) -> None:
    spec = replace(spec_of(new_pod_id()), builds_images=True, builder_files=FILES)
    await pods.runtime.create_pod(spec)
    worker = await pods.runtime.ensure_container(spec.pod_id, HOST_IMAGE)
    builder = await pods.runtime.ensure_container(spec.pod_id, KANIKO, FILES)
    assert await pods.shell(worker, f"id -u; echo made > given; test ! -e {CONFIG_PATH}") == (0, b"1000\n")
    assert await pods.shell(builder, f"id -u; cat given {CONFIG_PATH}") == (0, b"0\nmade\nthe credential")
    (pod,) = cluster.objects(PODS)
    assert pod["metadata"]["namespace"] == "danube-builds"
    await pods.runtime.delete_pod(spec.pod_id)
    assert not cluster.objects(SECRETS)


async def test_a_builder_in_the_pod_of_another_job_says_what_to_write(pods: KubernetesPods) -> None:
    spec = spec_of(new_pod_id())
    await pods.runtime.create_pod(spec)
    for files in ((), FILES):
        with pytest.raises(Permanent) as refusal:
            await pods.runtime.ensure_container(spec.pod_id, KANIKO, files)
        assert "images: [" in refusal.value.hint
    await pods.runtime.delete_pod(spec.pod_id)


async def test_the_credentials_of_pulls_go_with_their_pod(cluster: FakeCluster, pods: KubernetesPods) -> None:
    spec = replace(spec_of(new_pod_id()), pull_logins=(RegistryLogin("registry.test", "me", "word"),))
    await pods.runtime.create_pod(spec)
    pull = next(one for one in cluster.objects(SECRETS) if one["type"] == "kubernetes.io/dockerconfigjson")
    (pod,) = cluster.objects(PODS)
    assert pod["spec"]["imagePullSecrets"] == [{"name": pull["metadata"]["name"]}]
    assert pull["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    await pods.runtime.delete_pod(spec.pod_id)
    assert not cluster.objects(SECRETS)
