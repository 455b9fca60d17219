"""The objects that Danube makes in a cluster: a job's pod, its Secret and its worker containers. Pure.

A pod has one regular container, the coordinator; the workers are ephemeral containers of the same pod (decision 023).
The kubelet bounds a pod by the sum of the limits of its regular containers, so the coordinator's are those of the whole
pod, and the workers live within them.

The pods keep to the Pod Security Standard `restricted`, those with `run_as_root` to `baseline` in a user namespace
(https://kubernetes.io/docs/concepts/security/pod-security-standards/).
"""

import math
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.settings import KubernetesSettings
from danube_pkg.core.images.registries import docker_config
from danube_pkg.core.runtimes.pods import Container, ContainerFile, ContainerRole, PodSpec

Manifest = dict[str, Any]

USER = 1000
"""The user of every container of a pod, whatever its image says: all of them share /workspace."""

ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT")
"""Capabilities of root with `run_as_root`, all within `baseline`: `tar`, `apt-get` and `chown` need them."""

GRACE_SECONDS = 5
"""Between TERM and KILL. The supervisor ends at once on TERM."""

LOST_NODE_SECONDS = 60
"""How long a pod stays on a node that does not report any more; five minutes without this."""

DEADLINE_MARGIN_SECONDS = 3600
"""Behind the deadline of the job, which the server enforces. The cluster's ends pods whose server does not run."""

_STORAGE_REQUEST_BYTES = 512 * 1024**2

_IMAGE_VARIABLE = "DANUBE_IMAGE"
"""Holds the image as the step names it, by which a restarted server knows the container again."""


def namespace_of(spec: PodSpec, settings: KubernetesSettings) -> str:
    """Root needs the namespace with the weaker admission."""
    return settings.builds_namespace if _has_root(spec) else settings.namespace


def _has_root(spec: PodSpec) -> bool:
    """Whether root may run in some container of the pod."""
    return spec.run_as_root or spec.builds_images


def secret_manifests(spec: PodSpec, settings: KubernetesSettings) -> Sequence[Manifest]:
    """The coordinator's connection, the only place of the job token in the cluster; what builders push with, which no
    other container mounts; what the nodes pull with, which no container mounts."""
    pod, opaque = spec.pod_id, "Opaque"
    made = [_secret(names.object_name(pod), opaque, settings.connection(spec.token), spec, settings)]
    if spec.builder_files:
        files = {posixpath.basename(one.path): one.content for one in spec.builder_files}
        made.append(_secret(names.build_secret(pod), opaque, files, spec, settings))
    if spec.pull_logins:
        config = {".dockerconfigjson": docker_config(spec.pull_logins)}
        made.append(_secret(names.pull_secret(pod), "kubernetes.io/dockerconfigjson", config, spec, settings))
    return made


def _secret(name: str, kind: str, data: Mapping[str, str], spec: PodSpec, settings: KubernetesSettings) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**_metadata(spec, settings), "name": name},
        "type": kind,
        "immutable": True,
        "stringData": dict(data),
    }


def owner_patch(name: str, uid: str) -> Manifest:
    """Makes an object go with its pod, also where no Danube runs any more."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid, "blockOwnerDeletion": False}
    return {"metadata": {"ownerReferences": [owner]}}


def pod_manifest(spec: PodSpec, settings: KubernetesSettings, *, user_namespaces: bool) -> Manifest:
    """user_namespaces: whether the cluster's nodes have them."""
    metadata = _metadata(spec, settings) | {"finalizers": [names.FINALIZER]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod(spec, settings, user_namespaces)}


def _metadata(spec: PodSpec, settings: KubernetesSettings) -> Manifest:
    return {
        "name": names.object_name(spec.pod_id),
        "namespace": namespace_of(spec, settings),
        "labels": dict(names.labels(settings.instance, spec.pod_id)),
        "annotations": dict(names.annotations(spec)),
    }


def _pod(spec: PodSpec, settings: KubernetesSettings, user_namespaces: bool) -> Manifest:
    user = 0 if spec.run_as_root else USER
    pod: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "securityContext": {
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "runAsNonRoot": not spec.run_as_root,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": _volumes(spec),
        "initContainers": [_init(spec, settings)],
        "containers": [_coordinator(spec, settings)],
        "tolerations": [*_lost_node_tolerations(), *map(dict, (*settings.tolerations, *spec.placement.tolerations))],
    }
    if spec.deadline_seconds:
        pod["activeDeadlineSeconds"] = spec.deadline_seconds + DEADLINE_MARGIN_SECONDS
    if user_namespaces or _has_root(spec):  # root without a user namespace would be the node's: better no pod
        pod["hostUsers"] = False
    if selected := {**spec.placement.node_selector, **settings.node_selector}:
        pod["nodeSelector"] = selected  # the server's labels are a border, which a pipeline must not cross
    if runtime_class := settings.runtime_class or spec.placement.runtime_class:
        pod["runtimeClassName"] = runtime_class
    own = [names.pull_secret(spec.pod_id)] if spec.pull_logins else []
    if pull_secrets := [*own, *settings.image_pull_secrets]:
        pod["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    if settings.host_aliases:
        pod["hostAliases"] = [{"ip": ip, "hostnames": [name]} for name, ip in sorted(settings.host_aliases.items())]
    return pod


def _lost_node_tolerations() -> Sequence[Manifest]:
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    common = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_NODE_SECONDS}
    return [{"key": key, **common} for key in keys]


def _volumes(spec: PodSpec) -> Sequence[Manifest]:
    build = {"secretName": names.build_secret(spec.pod_id), "defaultMode": 0o440}
    return [
        *([{"name": names.BUILD_VOLUME, "secret": build}] if spec.builder_files else []),
        {"name": "supervisor", "emptyDir": {"sizeLimit": "16Mi"}},
        {"name": "workspace", "emptyDir": {"sizeLimit": str(spec.limits.workspace_bytes)}},
        {
            "name": "connection",
            "secret": {"secretName": names.object_name(spec.pod_id), "defaultMode": 0o440},
        },
    ]


def _init(spec: PodSpec, settings: KubernetesSettings) -> Manifest:
    command = ["python3", "-s", "-S", "-m", "danube_pkg.pod.place_supervisor"]
    return {
        "name": names.INIT,
        "image": settings.coordinator_image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*command, settings.version, names.SUPERVISOR_DIRECTORY],
        "resources": _resources(spec, settings),
        "securityContext": _security(run_as_root=spec.run_as_root),
        "volumeMounts": [{"name": "supervisor", "mountPath": names.SUPERVISOR_DIRECTORY}],
    }


def _coordinator(spec: PodSpec, settings: KubernetesSettings) -> Manifest:
    variables = {
        "COORDINATOR": "yes",
        "DANUBE_CONNECTION": names.CONNECTION_DIRECTORY,
        "DANUBE_WORKSPACE": names.WORKSPACE,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    mounts = [*_mounts(), {"name": "connection", "mountPath": names.CONNECTION_DIRECTORY, "readOnly": True}]
    return {
        **_supervised(names.COORDINATOR, settings, run_as_root=spec.run_as_root),
        "image": settings.coordinator_image,
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(variables),
        "resources": _resources(spec, settings),
        "volumeMounts": mounts,
    }


def worker_manifest(
    container: Container,
    settings: KubernetesSettings,
    image: str,
    *,
    run_as_root: bool = False,
    files: Sequence[ContainerFile] = (),
) -> Manifest:
    """An ephemeral container. image: what the nodes pull; `container.image` is what the step names. files: of a
    builder; all are in the pod's volume for them, and in one directory."""
    assert container.role is ContainerRole.WORKER
    directories = {posixpath.dirname(one.path) for one in files}
    assert len(directories) <= 1
    build = [{"name": names.BUILD_VOLUME, "mountPath": one, "readOnly": True} for one in directories]
    return {
        **_supervised(names.container_name(container), settings, run_as_root=run_as_root),
        "image": image,
        "env": _environment({_IMAGE_VARIABLE: container.image}),
        "volumeMounts": [*_mounts(), *build],
    }


def worker_patch(worker: Manifest) -> Manifest:
    """A strategic merge patch of the subresource `ephemeralcontainers`; the server merges by name."""
    return {"spec": {"ephemeralContainers": [worker]}}


def named_image(container: Mapping[str, Any]) -> str:
    """The image as the step names it, of a container in a pod's specification."""
    variables = {one.get("name"): one.get("value", "") for one in container.get("env") or ()}
    return str(variables.get(_IMAGE_VARIABLE) or container.get("image", ""))


def _supervised(name: str, settings: KubernetesSettings, *, run_as_root: bool) -> Manifest:
    """What all containers with a supervisor have in common."""
    heartbeat = ["--heartbeat-ms", str(settings.heartbeat_ms)] if settings.heartbeat_ms else []
    return {
        "name": name,
        "command": [names.SUPERVISOR_PATH, "idle", *heartbeat],
        "workingDir": names.WORKSPACE,
        "securityContext": _security(run_as_root=run_as_root),
    }


def _mounts() -> list[Manifest]:
    return [
        {"name": "workspace", "mountPath": names.WORKSPACE},
        {"name": "supervisor", "mountPath": names.SUPERVISOR_DIRECTORY, "readOnly": True},
    ]


def _environment(variables: Mapping[str, str]) -> Sequence[Manifest]:
    """HOME: the pod's user has an entry in /etc/passwd of few images."""
    every = {"CI": "true", "DANUBE": "true", "HOME": "/tmp"}
    return [{"name": name, "value": value} for name, value in (every | dict(variables)).items()]


def _security(*, run_as_root: bool) -> Manifest:
    capabilities: Manifest = {"drop": ["ALL"]}
    if run_as_root:
        capabilities["add"] = list(ROOT_CAPABILITIES)
    return {
        **({"runAsUser": 0, "runAsGroup": 0} if run_as_root else {}),
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "runAsNonRoot": not run_as_root,
        "capabilities": capabilities,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _resources(spec: PodSpec, settings: KubernetesSettings) -> Manifest:
    """Limits of the whole pod, and what a node must have free for it. Without requests a limit would be one."""
    memory = spec.limits.memory_bytes or settings.memory_bytes
    disk = spec.limits.workspace_bytes
    limits = {"memory": str(memory), "ephemeral-storage": str(disk)}
    cpu = settings.cpu_request
    if spec.limits.cpu_cores:
        limits["cpu"] = _millicores(spec.limits.cpu_cores)
        cpu = min(cpu, spec.limits.cpu_cores)
    requests = {
        "cpu": _millicores(cpu),
        "memory": str(min(memory, settings.memory_request_bytes)),
        "ephemeral-storage": str(min(disk, _STORAGE_REQUEST_BYTES)),
    }
    return {"limits": limits, "requests": requests}


def _millicores(cores: float) -> str:
    return f"{max(1, math.ceil(cores * 1000))}m"
