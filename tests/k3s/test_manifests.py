"""The manifests in k3s/ and deploy/: valid for the API, with the least rights and privileges, as the code expects."""

import os
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import danube_pkg
from danube_pkg.adapters.runtimes.kubernetes.access_rights import CLUSTER_VERBS, REQUIRED_VERBS
from danube_pkg.bootstrap.cluster_network import (
    REGISTRY_LABELS,
    SERVER_LABELS,
    SYSTEM_NAMESPACE,
    network_addresses,
)
from danube_pkg.core.configuration.cluster_settings import ClusterSettings
from danube_pkg.core.configuration.egress_settings import EgressSection
from danube_pkg.core.configuration.settings import ServerSettings
from danube_pkg.core.egress.network_policies import deny_all_policy, job_policy, target_at
from tests.support.kubernetes_objects import findings

ROOT = Path(__file__).resolve().parents[2]
INGRESS = ROOT / "deploy" / "ingress.yaml"
FILES = sorted([*(ROOT / "k3s").glob("*.yaml"), ROOT / "deploy" / "kubernetes.yaml", INGRESS])
JOB_NAMESPACES = (ClusterSettings().namespace, ClusterSettings().builds_namespace)

Object = Mapping[str, Any]


def objects(*files: Path) -> list[Object]:
    return [one for file in files for one in yaml.safe_load_all(file.read_text()) if one]


def named(kind: str, name: str, namespace: str = "") -> Object:
    (found,) = [
        one
        for one in objects(*FILES)
        if one["kind"] == kind
        and one["metadata"]["name"] == name
        and one["metadata"].get("namespace", "") == (namespace or one["metadata"].get("namespace", ""))
    ]
    return found


def pods() -> Iterator[tuple[str, Object]]:
    for one in objects(*FILES):
        if one["kind"] == "Deployment":
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_api_has_every_field(file: Path) -> None:
    assert [finding for one in objects(file) for finding in findings(one)] == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"spec": {"podSelector": {}, "egres": []}}, "V1NetworkPolicySpec has no field egres"),
        (
            {"spec": {"podSelector": {}, "policyTypes": "Egress"}},
            "NetworkPolicy.spec.policyTypes: 'Egress' is not a list",
        ),
        ({"spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {}}]}]}}, "V1IPBlock needs cidr"),
        ({"kind": "NetworkPolice"}, "the API has no V1NetworkPolice"),
        ({"spec": {"podSelector": {"matchLabels": {"a": 1}}}}, "1 is not str"),
    ],
)
def test_mistakes_are_found(change: Object, finding: str) -> None:
    """Otherwise the test above could not fail."""
    found = findings({**deny_all_policy("deny-all", "danube-jobs"), **change})
    assert any(finding in one for one in found), found


def test_the_policies_of_jobs_are_valid() -> None:
    targets = [target_at("10.0.0.1:9090"), target_at("[fd00::1]:31280")]
    assert findings(job_policy("p", "danube-jobs", {"a": "b"}, {"c": "d"}, targets)) == []


@pytest.mark.parametrize("kubeconfig", [os.environ["KUBECONFIG"]] if "KUBECONFIG" in os.environ else [])
def test_a_real_api_server_accepts_them(kubeconfig: str) -> None:
    """The namespaces must exist for a dry run of what is in them."""
    apply = ["kubectl", "--kubeconfig", kubeconfig, "apply", "--validate=strict"]
    subprocess.run([*apply, "-f", str(ROOT / "k3s" / "namespaces.yaml")], check=True)
    for file in FILES:
        subprocess.run([*apply, "--dry-run=server", "-f", str(file)], check=True)


# --- rights


@pytest.mark.parametrize("namespace", JOB_NAMESPACES)
def test_the_account_may_do_what_the_runtime_does_and_no_more(namespace: str) -> None:
    granted = {
        resource: frozenset(rule["verbs"])
        for rule in named("Role", "danube", namespace)["rules"]
        for resource in rule["resources"]
    }
    assert granted == dict(REQUIRED_VERBS)
    binding = named("RoleBinding", "danube", namespace)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "danube", "namespace": SYSTEM_NAMESPACE}]


def test_rights_for_the_whole_cluster_are_to_read_nodes() -> None:
    rules = named("ClusterRole", "danube-nodes")["rules"]
    assert {one["resources"][0]: frozenset(one["verbs"]) for one in rules} == dict(CLUSTER_VERBS)
    assert not [one for one in objects(*FILES) if "*" in str(one.get("rules", ""))]


# --- namespaces and policies


def test_namespaces_of_jobs_enforce_pod_security() -> None:
    levels = {
        name: named("Namespace", name)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for name in JOB_NAMESPACES
    }
    assert levels == {"danube-jobs": "restricted", "danube-builds": "baseline"}


@pytest.mark.parametrize("namespace", JOB_NAMESPACES)
def test_pods_of_jobs_are_denied_everything_that_is_not_allowed(namespace: str) -> None:
    assert named("NetworkPolicy", "deny-all", namespace) == deny_all_policy("deny-all", namespace)


def test_the_registry_is_where_the_policies_of_jobs_say() -> None:
    deployment, service = named("Deployment", "registry"), named("Service", "registry")
    assert deployment["metadata"]["namespace"] == SYSTEM_NAMESPACE
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == REGISTRY_LABELS
    assert [one["port"] for one in service["spec"]["ports"]] == [5000]
    settings = yaml.safe_load(named("ConfigMap", "registry")["data"]["config.yml"])
    assert settings["storage"]["delete"]["enabled"] is True


# --- pods


@pytest.mark.parametrize(("name", "spec"), list(pods()), ids=lambda value: value if isinstance(value, str) else "")
def test_pods_have_the_least_privileges(name: str, spec: Object) -> None:
    assert spec["automountServiceAccountToken"] is (name == "danube")
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        assert container["resources"]["limits"]["memory"]
    if name != "registry":  # it writes to a directory of its node
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert not [one for one in spec["volumes"] if "hostPath" in one] if "volumes" in spec else True


def test_the_server_of_the_cluster_is_where_its_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("10.43.0.7", 0))])
    settings = tomllib.loads(named("ConfigMap", "danube")["data"]["danube.toml"])
    server = ServerSettings(**settings["server"])
    addresses = network_addresses(EgressSection(**settings["egress"]), server)
    assert (addresses.server, addresses.proxy) == ("10.43.0.7:9090", "10.43.0.7:31280")
    deployment, service = named("Deployment", "danube"), named("Service", "danube")
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == SERVER_LABELS
    ports = {one["name"]: one["port"] for one in service["spec"]["ports"]}
    assert ports == {
        one["name"]: one["containerPort"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    }
    listening = (server.bind_address, addresses.server, addresses.proxy, addresses.canary)
    assert sorted(ports.values()) == sorted(int(one.rpartition(":")[2]) for one in listening)


def test_images_are_those_of_the_lock() -> None:
    lock = tomllib.loads((ROOT / "k3s" / "lock.toml").read_text())
    used = {spec["containers"][0]["image"] for _, spec in pods()}
    locked = {one["reference"] for one in lock["images"].values()}
    own = {
        f"danube.internal/coordinator:{danube_pkg.__version__}",
        f"registry.example.org/danube:{danube_pkg.__version__}",
    }
    assert used == locked | own
    for one in (lock["k3s"], lock["cilium"], *lock["images"].values()):
        assert one["digest"] == "unverified" or one["digest"].startswith("sha256:")


def test_the_ingress_leads_to_a_port_of_the_server_and_does_not_buffer() -> None:
    (ingress,) = objects(INGRESS)
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    target = path["backend"]["service"]
    service = named("Service", target["name"], ingress["metadata"]["namespace"])
    assert target["port"]["name"] in [one["name"] for one in service["spec"]["ports"]]
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
