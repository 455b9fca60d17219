"""`[kubernetes]` of danube.toml: how the pods of jobs are made in a cluster."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from danube_pkg.core.configuration.config import KubernetesSpec
from danube_pkg.core.configuration.pipelines import TolerationSpec
from danube_pkg.core.documents.marked import rule
from danube_pkg.kit.records import Record, field, replace


class UserNamespaces(StrEnum):
    """Whether pods have user ids of their own, so that root in one is not root of its node."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


_NAMESPACE: Mapping[str, Any] = {
    "pattern": r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "expects": "the name of a namespace",
}


class ClusterSettings(Record):
    """`[kubernetes]`: the pods of jobs in a cluster."""

    context: Annotated[str, rule("The context of the kubeconfig; empty: its current one.", restart=True)] = ""
    namespace: Annotated[
        str, rule("The namespace of the jobs' pods; it enforces Pod Security `restricted`.", restart=True, **_NAMESPACE)
    ] = "danube-jobs"
    builds_namespace: Annotated[
        str,
        rule(
            "The namespace of pods whose steps run as root, in a user namespace; it enforces `baseline`.",
            restart=True,
            **_NAMESPACE,
        ),
    ] = "danube-builds"
    coordinator_image: Annotated[
        str,
        rule(
            "The image of the coordinator, as the nodes know it; empty: what"
            " `danube image coordinator` makes for this version. It must be of the server's version.",
            example="registry.example.org/danube/coordinator:0.1.0",
            restart=True,
        ),
    ] = ""
    default_image: Annotated[
        str,
        rule(
            "The image of steps for which neither the step nor the pipeline names one; empty: they are refused, since a"
            " node has no programs for jobs.",
            example="debian:12",
            restart=True,
        ),
    ] = ""
    image_pull_secrets: Annotated[
        tuple[str, ...],
        rule("Secrets of the namespace with the registries' credentials, for the nodes.", most=20, restart=True),
    ] = ()
    node_selector: Annotated[
        Mapping[str, str], rule("Labels that a node of jobs must have.", most=20, restart=True)
    ] = field(default_factory=dict)
    tolerations: Annotated[
        tuple[TolerationSpec, ...], rule("Taints of nodes that jobs accept.", most=20, restart=True)
    ] = ()
    runtime_class: Annotated[
        str,
        rule(
            "The RuntimeClass of the pods, for a stronger isolation.",
            pattern=r"|[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
            expects="the name of a RuntimeClass",
            example="gvisor",
            restart=True,
        ),
    ] = ""
    host_aliases: Annotated[
        Mapping[str, str],
        rule(
            "Addresses of names in pods, which need no DNS for them.",
            pattern=r"[0-9A-Fa-f:.]+",
            expects="an IP address",
            example="10.43.0.50",
            restart=True,
        ),
    ] = field(default_factory=dict)
    memory_mb: Annotated[
        int,
        rule(
            "The memory of a pod whose pipeline has no limit. Without one a job could take a whole node.",
            at_least=64,
            at_most=16 * 1024**2,
            unit="MiB",
            restart=True,
        ),
    ] = 4096
    memory_request_mb: Annotated[
        int,
        rule(
            "The memory that a node must have free for a pod. Small, since few jobs use their limit all the time.",
            at_least=1,
            at_most=16 * 1024**2,
            unit="MiB",
            restart=True,
        ),
    ] = 256
    cpu_request: Annotated[
        float, rule("The cores that a node must have free for a pod.", at_least=0.001, at_most=1024, restart=True)
    ] = 0.1
    user_namespaces: Annotated[
        UserNamespaces,
        rule(
            "Whether pods have user ids of their own. auto: where every node supports it, as the account can see.",
            restart=True,
        ),
    ] = UserNamespaces.AUTO
    start_seconds: Annotated[
        int,
        rule(
            "How long a pod may wait for a node and for its images. Half an hour: new nodes take ten minutes.",
            at_least=1,
            at_most=86400,
            unit="seconds",
            restart=True,
        ),
    ] = 1800


def effective_cluster(settings: ClusterSettings, written: frozenset[str], spec: KubernetesSpec) -> ClusterSettings:
    """`[kubernetes]`, with what only config.yaml has. written: as in `Settings`. spec: of the configuration as it was
    applied last."""
    taken = {
        name: value
        for name in ("namespace", "coordinator_image")
        if f"kubernetes.{name}" not in written and (value := getattr(spec, name))
    }
    return replace(settings, **taken)
