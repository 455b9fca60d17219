"""A server whose jobs run on a cluster.

The fake cluster, unless KUBECONFIG names a real one. That needs DANUBE_TEST_IMAGE (an image with a shell and Python
that its nodes have), DANUBE_TEST_ADDRESS (the address of this machine as pods reach it), and the coordinator image of
this version in its nodes.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.kit.directory_identity import identify
from tests.e2e.conftest import closing
from tests.fakes.kubernetes.cluster import FakeCluster
from tests.fakes.kubernetes.thread import ClusterThread, cluster_thread
from tests.support.kubernetes_api import open_client
from tests.support.ports import free_port
from tests.support.server import Installation
from tests.support.waiting import wait_until

JOBS = "danube-jobs"


def install(danube: Installation, kubeconfig: Path | str, image: str, address: str) -> None:
    """Settings by which an installation uses a cluster. image: what `host` stands for. address: of this machine."""
    grpc, proxy = free_port(), free_port()
    settings = (danube.path / "danube.toml").read_text()
    own = f'grpc_address = "{address}:{grpc}"\nadvertise_address = "{address}:{grpc}"\n'
    (danube.path / "danube.toml").write_text(settings + own)
    danube.add_settings(f'[runtime]\nkubeconfig = "{kubeconfig}"\n')
    danube.add_settings(f'[kubernetes]\ndefault_image = "{image}"\n')
    danube.add_settings(
        f'[egress]\nunenforced = "warn"\nbind_address = "{address}:{proxy}"\ntranslated_networks = ["127.0.0.0/8"]\n'
    )


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[ClusterThread]:
    """The fake cluster, for what a test orders it to do."""
    with cluster_thread(tmp_path / "cluster") as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class OnFake:
    """A running server, and the fake cluster that runs its jobs."""

    danube: Installation
    fake: ClusterThread

    def running_job(self, name: str, danubefile: str, until: str = "up") -> str:
        """A job that has printed `until`."""
        self.danube.pipeline(name, danubefile)
        self.danube.sync()
        job_id = self.danube.trigger(name)
        self.danube.wait_for_log(job_id, f"{until}\n", 60)
        return job_id

    def pod_of(self, job_id: str) -> str:
        """The name of a job's pod."""
        found = self.fake.call(
            lambda cluster: [
                pod["metadata"]["name"]
                for pod in cluster.pods()
                if pod["metadata"].get("annotations", {}).get("danube.dev/job") == job_id
            ]
        )
        (name,) = found
        return str(name)

    def order(self, job_id: str, act: Callable[[FakeCluster, str], None]) -> None:
        """Do something to the pod of a job."""
        name = self.pod_of(job_id)
        self.fake.call(lambda cluster: act(cluster, name))

    def touch(self, job_id: str, file: str) -> None:
        """Create a file in the workspace of a job that runs."""
        name = self.pod_of(job_id)
        pod = self.fake.call(lambda cluster: cluster.pod(JOBS, name))
        (self.fake.cluster.directory / "pods" / pod["metadata"]["uid"] / "volumes" / "workspace" / file).touch()


@pytest.fixture(scope="module")
def shared_fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnFake]:
    """One server on the fake for the tests of a module that neither kill nor reconfigure it."""
    made = Installation(tmp_path_factory.mktemp("fake"))
    with cluster_thread(made.path / "cluster") as opened:
        install(made, opened.cluster.kubeconfig, "programs:1", "127.0.0.1")
        made.serve()
        yield from ((OnFake(one, opened)) for one in closing(made))


@pytest.fixture
def on_fake(danube: Installation, fake: ClusterThread) -> OnFake:
    """A server of the test's own, running on the fake."""
    install(danube, fake.cluster.kubeconfig, "programs:1", "127.0.0.1")
    danube.serve()
    return OnFake(danube, fake)


class ClusterOfRun:
    """The cluster that the tests of this run use: a real one by KUBECONFIG, or the fake."""

    def __init__(self, kubeconfig: Path, image: str, address: str) -> None:
        self._kubeconfig = kubeconfig
        self._image = image
        self._address = address

    def install(self, danube: Installation) -> None:
        """Settings by which an installation uses the cluster."""
        install(danube, self._kubeconfig, self._image, self._address)

    def objects(self, danube: Installation) -> dict[str, list[dict[str, Any]]]:
        """What an installation has made, by its kind: pods, secrets, networkpolicies."""
        return asyncio.run(self._objects(f"danube.dev/instance={identify(danube.data).id}"))

    async def _objects(self, selector: str) -> dict[str, list[dict[str, Any]]]:
        found = {}
        async with open_client(self._kubeconfig) as client:
            for base, kind in KINDS:
                path = f"/{base}/namespaces/{JOBS}/{kind}"
                found[kind] = (await client.get(path, labelSelector=selector)).document["items"]
        return found

    def wait_empty(self, danube: Installation) -> None:
        """Returns when nothing of an installation without jobs is left."""
        wait_until(lambda: not any(self.objects(danube).values()), 60, "the objects of all jobs to be removed")


KINDS = (("api/v1", "pods"), ("api/v1", "secrets"), ("apis/networking.k8s.io/v1", "networkpolicies"))


@contextmanager
def cluster_of_run(directory: Path) -> Iterator[ClusterOfRun]:
    """The cluster; directory: for the fake's state."""
    if "KUBECONFIG" in os.environ:
        environment = os.environ
        yield ClusterOfRun(
            Path(environment["KUBECONFIG"]), environment["DANUBE_TEST_IMAGE"], environment["DANUBE_TEST_ADDRESS"]
        )
        return
    with cluster_thread(directory) as opened:
        yield ClusterOfRun(opened.cluster.kubeconfig, "programs:1", "127.0.0.1")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterOfRun]:
    """The cluster of this run; the fake is one of the test's own."""
    with cluster_of_run(tmp_path / "cluster") as opened:
        yield opened


@pytest.fixture(scope="module")
def on_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running server on the cluster of this run. Each test adds pipelines of its own."""
    made = Installation(tmp_path_factory.mktemp("cluster"))
    with cluster_of_run(made.path / "cluster") as opened:
        opened.install(made)
        made.serve()
        for one in closing(made):
            yield one
            opened.wait_empty(made)
