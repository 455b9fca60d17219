"""The choice of a runtime and its opening, with all that depends on it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import danube_pkg
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.bootstrap.runtime import local_options, open_runtime, remove_pods
from danube_pkg.bootstrap.runtime_choice import choose_runtime
from danube_pkg.core.configuration.cluster_settings import ClusterSettings, effective_cluster
from danube_pkg.core.configuration.config import KubernetesSpec
from danube_pkg.core.configuration.settings import ConfigRepository, RuntimeKind, RuntimeSettings, Settings
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.choice import ClusterFacts, ClusterLocation, RuntimeChoice
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "run" / "grpc").mkdir(parents=True)
    return tmp_path


async def test_the_sandbox_is_opened_with_its_images(data: Path) -> None:
    async with open_runtime(local_options(data), data) as parts:
        assert isinstance(parts.runtime, SandboxRuntime)
        assert parts.images is not None
        assert "danube_pkg.pod.coordinator" in parts.coordinator_command


async def test_a_cluster_needs_an_address_for_its_coordinators(data: Path) -> None:
    choice = RuntimeChoice(ClusterLocation(data / "kubeconfig"), "the test names it")
    with pytest.raises(Permanent) as refusal:
        async with open_runtime(replace(local_options(data), choice=choice), data):
            raise AssertionError("it was opened")
    assert refusal.value.reference == "grpc-address-missing"
    assert "[server] grpc_address" in refusal.value.hint


def settings(**runtime: object) -> Settings:
    return Settings(ConfigRepository("config"), runtime=RuntimeSettings(**runtime))  # type: ignore[arg-type]


NONE, IN_POD, K3S = ClusterFacts(), ClusterFacts(in_pod=True), ClusterFacts(installed=Path("/k3s.yaml"))


@pytest.mark.parametrize(
    ("kind", "kubeconfig", "facts", "expected"),
    [
        ("auto", "", NONE, "sandbox: no cluster is configured ([runtime] kubeconfig)"),
        ("auto", "/kube", NONE, "kubernetes: [runtime] kubeconfig names /kube"),
        ("auto", "/kube", IN_POD, "kubernetes: [runtime] kubeconfig names /kube"),
        ("auto", "", IN_POD, "kubernetes: the server runs in a pod with a service account"),
        ("auto", "", K3S, "kubernetes: K3s was installed with Danube on this machine"),
        ("kubernetes", "/kube", NONE, "kubernetes: [runtime] kubeconfig names /kube"),
        ("sandbox", "/kube", IN_POD, 'sandbox: [runtime] kind is "sandbox"'),
    ],
)
def test_the_choice_says_why(kind: str, kubeconfig: str, facts: ClusterFacts, expected: str) -> None:
    chosen = choose_runtime(settings(kind=RuntimeKind(kind), kubeconfig=kubeconfig), facts)
    assert str(chosen) == expected
    assert (chosen.cluster is None) == (chosen.name == "sandbox")


def test_a_wanted_cluster_that_is_not_named_is_refused() -> None:
    with pytest.raises(Permanent) as refusal:
        choose_runtime(settings(kind=RuntimeKind.KUBERNETES), NONE)
    assert refusal.value.reference == "cluster-not-named"
    assert "kubeconfig" in refusal.value.hint


def test_config_yaml_gives_what_danube_toml_does_not_have() -> None:
    spec = KubernetesSpec(namespace="ci", coordinator_image="r/coordinator:2")
    written = ClusterSettings(namespace="jobs")
    assert effective_cluster(written, frozenset({"kubernetes.namespace"}), spec).namespace == "jobs"
    found = effective_cluster(ClusterSettings(), frozenset(), spec)
    assert (found.namespace, found.coordinator_image) == ("ci", "r/coordinator:2")


def test_the_package_of_clusters_is_imported_by_its_runtime_alone() -> None:
    """It costs a second and 21 MB: a server with the sandbox must not pay for it."""
    package = Path(danube_pkg.__file__).parent
    importing = {
        path.relative_to(package).parts[:3]
        for path in package.rglob("*.py")
        if re.search(r"^\s*(from|import) kubernetes\b", path.read_text(), re.MULTILINE)
    }
    assert importing == {("adapters", "runtimes", "kubernetes")}
    program = (
        "import sys, danube_pkg.cli.commands.serve, danube_pkg.bootstrap.serve; print('kubernetes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_pods_outlive_the_parts_and_can_be_removed(data: Path) -> None:
    options = local_options(data)
    async with open_runtime(options, data) as parts:
        spec = spec_of(new_pod_id())
        coordinator = await parts.runtime.create_pod(spec)
    try:
        async with open_runtime(options, data) as parts:
            states = await parts.runtime.list_pods()
            assert [state.containers for state in states] == [(coordinator,)]
            worker = await parts.runtime.ensure_container(spec.pod_id, HOST_IMAGE)
            assert worker.number == 1
    finally:
        await remove_pods(data)
    assert list((data / "pods").iterdir()) == []
