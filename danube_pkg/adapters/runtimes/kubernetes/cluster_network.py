"""The egress proxy as the only way out of a pod: a policy for each pod, and canaries that show it to be enforced.

The policy is made before the pod and has the pod's allowlist as an annotation, so that a restarted server can admit its
pods to a proxy again without any other record. It allows the server's gRPC port, the proxy and the registry.

A cluster may ignore policies, or apply one late. So the coordinator's container and each worker's tries the canaries
until they are closed, before anything runs there; what it saw is the job's record.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from danube_pkg.adapters.runtimes.kubernetes import names
from danube_pkg.adapters.runtimes.kubernetes.api import Body, ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.manifests import namespace_of
from danube_pkg.adapters.runtimes.kubernetes.network import Execute, PodNetwork
from danube_pkg.adapters.runtimes.kubernetes.settings import KubernetesSettings
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus
from danube_pkg.core.egress.canaries import (
    TRY_SECONDS,
    UNENFORCED_NOTE,
    WARN_SECONDS,
    Canaries,
    EnforcedBy,
    Observation,
)
from danube_pkg.core.egress.network_policies import NetworkTarget, job_policy, target_at
from danube_pkg.core.egress.ports import CanarySource, EgressProxies, NetworkPod
from danube_pkg.core.errors import Conflict, NotFound, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, ContainerRole, Network, PodSpec
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import HIDDEN, Record, decode_json, encode_json

POLICIES = "/apis/networking.k8s.io/v1"
ADMISSION = "danube.dev/egress"
"""The annotation of a policy with what the proxy needs to know of its pod."""

TRY_CAP_SECONDS = 2.0
"""The longest pause between two tries."""

MAX_OUTPUT_BYTES = 64 * 1024

_log = EventLog("danube.kubernetes")


class ClusterNetworkOptions(Record):
    """server, proxy: `HOST:PORT` as pods reach them, with addresses. further: other targets of each pod, such as the
    registry. refuse: whether jobs are refused where nothing enforces policies. password: of a job, by its id."""

    server: str
    proxy: str
    further: tuple[NetworkTarget, ...]
    refuse: bool
    password: Annotated[Callable[[str], str], HIDDEN]


class _Admission(Record):
    job_id: str
    allowlist: tuple[str, ...]
    learn: bool


class ClusterNetwork(PodNetwork):
    """`PodNetwork` with the egress proxy. addresses: which the runtime fills."""

    def __init__(
        self,
        options: ClusterNetworkOptions,
        settings: KubernetesSettings,
        proxies: EgressProxies,
        canaries: CanarySource,
        addresses: PodAddresses,
    ) -> None:
        self._options = options
        self._settings = settings
        self._proxies = proxies
        self._canaries = canaries
        self._addresses = addresses
        self._restoring = asyncio.Lock()
        self._is_restored = False
        self._open_canaries: tuple[str, ...] = ()
        """What the last container has reached."""
        self._enforced: dict[str, EnforcedBy] = {}
        self._api: ClusterApi
        self._execute: Execute

    def use(self, api: ClusterApi, execute: Execute) -> None:
        self._api, self._execute = api, execute

    # --- the proxy

    async def keep(self) -> None:
        """Admits the pods that run, now and whenever a proxy has ended. One without an address yet is admitted when
        its coordinator runs."""
        while True:
            await self._restore()
            await self._proxies.wait_lost()
            self._is_restored = False

    async def _restore(self) -> None:
        async with self._restoring:
            if self._is_restored:
                return
            served = await self._proxies.served()
            known = await self._admissions()
            for admission in known.values():
                if admission.job_id not in served and self._addresses.of_job(admission.job_id):
                    await self._admit(admission)
            for job_id in served - {one.job_id for one in known.values()}:
                await self._proxies.release(job_id)
            await self._proxies.listen()
            self._is_restored = True

    async def _admissions(self) -> Mapping[str, _Admission]:
        """By pod: what was written down of those that use the proxy."""
        found = {}
        for namespace in self._settings.namespaces:
            policies, _ = await self._api.list_all(_path(namespace), names.selector(self._settings.instance))
            for policy in policies:
                text = policy["metadata"].get("annotations", {}).get(ADMISSION)
                if text:
                    found[str(policy["metadata"]["name"])] = decode_json(text.encode(), _Admission)
        return found

    async def _admit(self, admission: _Admission) -> None:
        addresses = tuple(self._addresses.of_job(admission.job_id))
        password = self._options.password(admission.job_id)
        pod = NetworkPod(admission.job_id, admission.allowlist, password, addresses, learn=admission.learn)
        await self._proxies.admit(pod)

    # --- a pod's life

    async def before_pod(self, spec: PodSpec) -> None:
        namespace = namespace_of(spec, self._settings)
        try:
            await self._api.post(_path(namespace), self._policy(spec, namespace))
        except Conflict:  # an interrupted creation has made it
            return

    def _policy(self, spec: PodSpec, namespace: str) -> Body:
        labels = names.labels(self._settings.instance, spec.pod_id)
        selector = {name: labels[name] for name in (names.INSTANCE, names.POD)}
        targets = [target_at(self._options.server), *self._options.further]
        if spec.network.through_proxy:
            targets.append(target_at(self._options.proxy))
        policy = job_policy(names.object_name(spec.pod_id), namespace, labels, selector, targets)
        if not spec.network.through_proxy:
            return policy
        admission = _Admission(spec.job_id, spec.allowlist, spec.network is Network.LEARN)
        annotated = {**policy["metadata"], "annotations": {ADMISSION: encode_json(admission).decode()}}
        return {**policy, "metadata": annotated}

    async def pod_runs(self, spec: PodSpec, pod: PodStatus) -> str:
        if spec.network.through_proxy:
            await self._restore()
            if pod.address:
                self._addresses.assign(pod.address, spec.job_id)
            await self._admit(_Admission(spec.job_id, spec.allowlist, spec.network is Network.LEARN))
        coordinator = Container(spec.pod_id, 0, ContainerRole.COORDINATOR, HOST_IMAGE)
        is_enforced = await self._see_enforced(coordinator)
        self._enforced[spec.pod_id] = EnforcedBy.NETWORK_POLICY if is_enforced else EnforcedBy.NOTHING
        return "" if is_enforced else UNENFORCED_NOTE

    async def worker_runs(self, container: Container) -> None:
        if self._enforced.get(container.pod_id) is EnforcedBy.NOTHING:
            return  # its coordinator has shown that nothing is enforced, and the configuration accepts that
        if not await self._see_enforced(container):
            self._enforced[container.pod_id] = EnforcedBy.NOTHING

    async def pod_removed(self, pod_id: str, job_id: str) -> None:
        self._enforced.pop(pod_id, None)
        if job_id:
            await self._proxies.release(job_id)
        for namespace in self._settings.namespaces:
            try:
                await self._api.delete(f"{_path(namespace)}/{names.object_name(pod_id)}")
            except NotFound:
                continue

    def enforced_by(self, pod_id: str) -> EnforcedBy:
        return self._enforced.get(pod_id, EnforcedBy.UNKNOWN)

    async def conditions(self) -> Sequence[Condition]:
        """That the last pod did not see its policy enforced."""
        if not self._open_canaries:
            return ()
        become = "are refused" if self._options.refuse else "run, and can pass by the egress proxy"
        what = f"the cluster does not enforce network policies: a pod reached {', '.join(self._open_canaries)}; jobs {become}"
        hint = "use a network plugin that enforces NetworkPolicy: docs/kubernetes.md"
        return (Condition("egress-unenforced", what, hint),)

    # --- the canaries

    async def _see_enforced(self, container: Container) -> bool:
        """Whether the container sees its policy enforced; False where the configuration accepts that it is not.

        Raises Permanent where it does not, Unavailable where it could not be found out.
        """
        if not await self._canaries.reachable():
            raise Unavailable(
                "canaries-unreachable",
                "it cannot be seen whether this cluster enforces network policies",
                cause="the server does not reach its own canary ports, so that a closed one proves nothing",
                hint="danube config status; check [egress] canary_address and canaries in danube.toml",
            )
        canaries = Canaries(tuple(self._canaries.targets), self._options.server)
        observation = await self._try_until_closed(container, canaries)
        if observation.is_enforced:
            self._open_canaries = ()
            return True
        self._open_canaries = tuple(observation.open_canaries)
        failure = observation.failure(canaries.control, refuse=self._options.refuse)
        if failure is not None:
            raise failure
        _log.warning("egress-unenforced", pod=container.pod_id, open=list(observation.open_canaries))
        return False

    async def _try_until_closed(self, container: Container, canaries: Canaries) -> Observation:
        loop, backoff = asyncio.get_running_loop(), Backoff(0.05, TRY_CAP_SECONDS, random.random)
        until = loop.time() + (TRY_SECONDS if self._options.refuse else WARN_SECONDS)
        while True:
            observation = await self._observe(container, canaries)
            if observation.is_enforced or loop.time() >= until:
                return observation
            await asyncio.sleep(backoff.next())

    async def _observe(self, container: Container, canaries: Canaries) -> Observation:
        stream = await self._execute(container, canaries.argv())
        output = b""
        try:
            while (data := await stream.read()) and len(output) < MAX_OUTPUT_BYTES:
                output += data
        finally:
            await stream.close()
        return canaries.observe(output)


def _path(namespace: str) -> str:
    return f"{POLICIES}/namespaces/{namespace}/networkpolicies"
