"""A server whose jobs run on a cluster.

The fake cluster, unless KUBECONFIG names a real one. That needs DANUBE_TEST_IMAGE (an image with a shell and Python
that its nodes have), DANUBE_TEST_ADDRESS (the address of this machine as pods reach it), and the coordinator image of
this version in its nodes.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import closing
from tests.fakes.kubernetes.thread import ClusterThread, cluster_thread
from tests.support.ports import free_port
from tests.support.server import Installation

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


@pytest.fixture
def on_fake(danube: Installation, fake: ClusterThread) -> Installation:
    """A server that was not started, on the fake."""
    install(danube, fake.cluster.kubeconfig, "programs:1", "127.0.0.1")
    return danube


@pytest.fixture(scope="module")
def on_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running server on the cluster of this run. Each test adds pipelines of its own."""
    made = Installation(tmp_path_factory.mktemp("cluster"))
    if "KUBECONFIG" in os.environ:
        environment = os.environ
        install(made, environment["KUBECONFIG"], environment["DANUBE_TEST_IMAGE"], environment["DANUBE_TEST_ADDRESS"])
        made.serve()
        yield from closing(made)
        return
    with cluster_thread(made.path / "cluster") as opened:
        install(made, opened.cluster.kubeconfig, "programs:1", "127.0.0.1")
        made.serve()
        yield from closing(made)
        left = opened.call(lambda cluster: [pod["metadata"]["name"] for pod in cluster.pods()])
        assert not left, f"pods are left: {left}"
