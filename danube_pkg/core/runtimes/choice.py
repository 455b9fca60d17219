"""Which runtime a server uses, and why. Pure."""

from pathlib import Path

from danube_pkg.kit.records import Record


class ClusterLocation(Record):
    """kubeconfig: None for the service account of the pod that Danube runs in. context: "" for the file's current
    one."""

    kubeconfig: Path | None
    context: str = ""

    def __str__(self) -> str:
        if self.kubeconfig is None:
            return "the service account of this pod"
        return f"{self.kubeconfig}{f', context {self.context}' if self.context else ''}"


class ClusterFacts(Record):
    """What a machine has: the kubeconfig of the K3s that was installed with Danube, None where there is none; whether
    this process is in a pod with a service account."""

    installed: Path | None = None
    in_pod: bool = False


class RuntimeChoice(Record):
    """cluster: None for the sandbox. why: one clause."""

    cluster: ClusterLocation | None
    why: str

    @property
    def name(self) -> str:
        return "sandbox" if self.cluster is None else "kubernetes"

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def choose_cluster(kubeconfig: str, context: str, facts: ClusterFacts) -> RuntimeChoice | None:
    """The cluster that jobs run on by default; None where there is none."""
    if kubeconfig:
        return RuntimeChoice(ClusterLocation(Path(kubeconfig), context), f"[runtime] kubeconfig names {kubeconfig}")
    if facts.in_pod:
        return RuntimeChoice(ClusterLocation(None), "the server runs in a pod with a service account")
    if facts.installed is not None:
        return RuntimeChoice(ClusterLocation(facts.installed, context), "K3s was installed with Danube on this machine")
    return None
