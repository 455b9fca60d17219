"""What Danube makes in a cluster."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.manifests import (
    DEADLINE_MARGIN_SECONDS,
    namespace_of,
    pod_manifest,
    secret_manifests,
    worker_manifest,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.core.runtimes.pods import Container, ContainerFile, ContainerRole, Limits, RegistryLogin
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.kubernetes.objects import INSTANCE, POD_ID, SETTINGS, pod_object, rooted, with_worker
from tests.adapters.runtimes.sandbox.pods import TOKEN, spec_of

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
BASELINE_CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}


def containers_of(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spec = pod["spec"]
    yield from (*spec["initContainers"], *spec["containers"], *spec.get("ephemeralContainers", ()))


def test_a_pod_keeps_to_restricted() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, its rules one by one."""
    pod = with_worker(pod_object())
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert all(set(volume) - {"name"} <= RESTRICTED_VOLUMES for volume in pod["spec"]["volumes"])
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])
    for container in containers_of(pod):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["runAsNonRoot"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(port.get("hostPort") for port in container.get("ports", ()))


def test_the_workspace_is_of_the_group_of_every_step() -> None:
    """The kubelet gives an `emptyDir` the group of `fsGroup`: files of one image's step are seen by another's."""
    pod = with_worker(pod_object())
    security = pod["spec"]["securityContext"]
    assert security["fsGroup"] == security["runAsGroup"] == security["runAsUser"] != 0
    for container in containers_of(pod):
        assert not {"runAsUser", "runAsGroup"} & set(container["securityContext"])


def test_root_runs_in_a_user_namespace_within_baseline() -> None:
    pod = pod_manifest(rooted(), SETTINGS, user_namespaces=False)
    assert pod["metadata"]["namespace"] == namespace_of(rooted(), SETTINGS) == "danube-builds"
    assert pod["spec"]["hostUsers"] is False
    for container in containers_of(pod):
        assert set(container["securityContext"]["capabilities"]["add"]) <= BASELINE_CAPABILITIES
        assert container["securityContext"]["privileged"] is False


def test_the_job_token_is_in_the_secret_alone_and_only_the_coordinator_sees_it() -> None:
    spec = spec_of(POD_ID)
    pod = with_worker(pod_object(spec))
    assert TOKEN not in json.dumps(pod)
    (secret,) = secret_manifests(spec, SETTINGS)
    assert secret["stringData"]["token"] == TOKEN
    seeing = [one["name"] for one in containers_of(pod) if "connection" in json.dumps(one["volumeMounts"])]
    assert seeing == [names.COORDINATOR]
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_builders_alone_are_root_and_have_the_credential() -> None:
    file = ContainerFile("/kaniko/.docker/config.json", "the credential")
    spec = replace(spec_of(POD_ID), builds_images=True, builder_files=(file,))
    pod = pod_manifest(spec, SETTINGS, user_namespaces=False)
    assert pod["metadata"]["namespace"] == "danube-builds"
    assert pod["spec"]["hostUsers"] is False
    assert pod["spec"]["securityContext"]["runAsUser"] == 1000
    container = Container(POD_ID, 1, ContainerRole.WORKER, "kaniko")
    builder = worker_manifest(container, SETTINGS, "kaniko", run_as_root=True, files=spec.builder_files)
    assert builder["securityContext"]["runAsUser"] == 0
    assert set(builder["securityContext"]["capabilities"]["add"]) <= BASELINE_CAPABILITIES
    assert {"name": "builder", "mountPath": "/kaniko/.docker", "readOnly": True} in builder["volumeMounts"]
    assert not any("builder" in json.dumps(one["volumeMounts"]) for one in containers_of(pod))
    _, secret = secret_manifests(spec, SETTINGS)
    assert (secret["metadata"]["name"], secret["stringData"]) == (
        f"danube-{POD_ID}-build",
        {"config.json": "the credential"},
    )


def test_nodes_pull_with_the_logins_of_the_pod_and_those_of_the_settings() -> None:
    spec = replace(spec_of(POD_ID), pull_logins=(RegistryLogin("docker.io", "me", "word"),))
    settings = replace(SETTINGS, image_pull_secrets=("of-the-cluster",))
    pod = pod_manifest(spec, settings, user_namespaces=True)
    assert pod["spec"]["imagePullSecrets"] == [{"name": f"danube-{POD_ID}-pull"}, {"name": "of-the-cluster"}]
    assert "word" not in json.dumps(pod)
    _, secret = secret_manifests(spec, settings)
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    auths = json.loads(secret["stringData"][".dockerconfigjson"])["auths"]
    assert auths["index.docker.io"] == {"auth": base64.b64encode(b"me:word").decode()}


def test_the_coordinator_carries_the_limits_of_the_whole_pod() -> None:
    limits = Limits(memory_bytes=3 << 30, cpu_cores=1.5, workspace_bytes=7 << 30)
    pod = pod_manifest(replace(spec_of(POD_ID), limits=limits), SETTINGS, user_namespaces=True)
    for container in containers_of(pod):
        assert container["resources"]["limits"] == {
            "memory": str(3 << 30),
            "cpu": "1500m",
            "ephemeral-storage": str(7 << 30),
        }
        assert container["resources"]["requests"]["memory"] == str(SETTINGS.memory_request_bytes)
    workspace = next(one for one in pod["spec"]["volumes"] if one["name"] == "workspace")
    assert workspace["emptyDir"]["sizeLimit"] == str(7 << 30)


def test_a_pod_without_a_limit_of_memory_gets_the_cluster_s_own() -> None:
    spec = replace(spec_of(POD_ID), limits=Limits())
    limits = pod_manifest(spec, SETTINGS, user_namespaces=True)["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] == str(SETTINGS.memory_bytes)
    assert "cpu" not in limits


def test_requests_are_never_above_limits() -> None:
    spec = replace(spec_of(POD_ID), limits=Limits(memory_bytes=64 << 20, cpu_cores=0.05, workspace_bytes=1 << 20))
    resources = pod_manifest(spec, SETTINGS, user_namespaces=True)["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"memory": str(64 << 20), "cpu": "50m", "ephemeral-storage": str(1 << 20)}


def test_an_ephemeral_container_has_only_fields_that_the_api_allows() -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/: no ports, probes or resources."""
    worker = worker_manifest(Container(POD_ID, 3, ContainerRole.WORKER, "host"), SETTINGS, "debian:12")
    assert worker["name"] == "worker-3"
    assert worker["image"] == "debian:12"
    assert not {"ports", "resources", "livenessProbe", "readinessProbe", "lifecycle", "restartPolicy"} & set(worker)
    assert not any("subPath" in mount for mount in worker["volumeMounts"])


def test_a_pod_says_whose_it_is_and_goes_without_a_server() -> None:
    spec = replace(spec_of(POD_ID), deadline_seconds=600)
    pod = pod_manifest(spec, SETTINGS, user_namespaces=True)
    assert pod["metadata"]["labels"][names.INSTANCE] == INSTANCE
    assert pod["metadata"]["labels"][names.POD] == POD_ID
    assert pod["metadata"]["annotations"][names.JOB] == spec.job_id
    assert pod["spec"]["activeDeadlineSeconds"] == 600 + DEADLINE_MARGIN_SECONDS
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}


def test_the_place_of_a_pod_is_as_configured() -> None:
    toleration = {"key": "ci", "operator": "Exists"}
    settings = replace(
        SETTINGS,
        node_selector={"kubernetes.io/arch": "arm64"},
        tolerations=(toleration,),
        runtime_class="gvisor",
        image_pull_secrets=("registry",),
        host_aliases={"registry.danube-system": "10.43.0.50"},
    )
    pod = pod_manifest(spec_of(POD_ID), settings, user_namespaces=False)["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert toleration in pod["tolerations"]
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["hostAliases"] == [{"ip": "10.43.0.50", "hostnames": ["registry.danube-system"]}]
    assert "hostUsers" not in pod


@pytest.mark.parametrize("pod_id", ["", "x" * 57, "ends-"])
def test_an_id_that_cannot_be_a_name_is_refused(pod_id: str) -> None:
    with pytest.raises(Invalid):
        names.object_name(pod_id)


@pytest.mark.parametrize(
    ("name", "number"), [("coordinator", 0), ("worker-12", 12), ("worker-x", None), ("other", None)]
)
def test_containers_are_known_by_their_names(name: str, number: int | None) -> None:
    assert names.container_number(name) == number
