"""The network of pods: each has its policy before it runs, and no step starts before its canaries were seen closed."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from danube_pkg.adapters.runtimes.kubernetes import ClusterNetwork, ClusterNetworkOptions, KubernetesSettings, names
from danube_pkg.adapters.runtimes.kubernetes import cluster_network as module
from danube_pkg.adapters.runtimes.kubernetes.api import ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.exec_stream import WebSocketStream
from danube_pkg.adapters.runtimes.kubernetes.status import PodStatus
from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.egress.network_policies import NetworkTarget
from danube_pkg.core.egress.ports import NetworkPod
from danube_pkg.core.errors import Conflict, NotFound, Permanent, Unavailable
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.core.runtimes.pods import Container, ContainerRole, Limits, Network, PodSpec
from danube_pkg.kit.tasks import end_all
from tests.fakes.egress import NoProxies
from tests.support.waiting import wait_until_async

SERVER, PROXY, CANARY = "10.0.0.1:9090", "10.0.0.1:31280", "10.0.0.1:31281"
SETTINGS = KubernetesSettings("instance", "1", "image", lambda token: {})
WORKER = Container("p1", 1, ContainerRole.WORKER, "node:20")


class Policies:
    """The API of network policies."""

    def __init__(self) -> None:
        self.objects: dict[str, Mapping[str, Any]] = {}

    async def post(self, path: str, body: Mapping[str, Any]) -> None:
        key = f"{path}/{body['metadata']['name']}"
        if key in self.objects:
            raise Conflict("exists", "it exists")
        self.objects[key] = body

    async def delete(self, path: str) -> None:
        if self.objects.pop(path, None) is None:
            raise NotFound("gone", "it is gone")

    async def list_all(self, path: str, selector: str) -> tuple[list[Mapping[str, Any]], str]:
        name, _, value = selector.partition("=")
        found = [one for key, one in self.objects.items() if key.startswith(f"{path}/")]
        return [one for one in found if one["metadata"]["labels"].get(name) == value], "1"


class Admitting(NoProxies):
    """Proxies that remember."""

    def __init__(self) -> None:
        self.pods: dict[str, NetworkPod] = {}
        self.calls: list[str] = []
        self.lost = asyncio.Event()

    async def admit(self, pod: NetworkPod) -> None:
        self.calls.append(f"admit {pod.job_id}")
        self.pods[pod.job_id] = pod

    async def release(self, job_id: str) -> None:
        self.calls.append(f"release {job_id}")
        self.pods.pop(job_id, None)

    async def listen(self) -> None:
        self.calls.append("listen")

    async def served(self) -> frozenset[str]:
        return frozenset(self.pods)

    async def wait_lost(self) -> None:
        await self.lost.wait()
        self.lost.clear()


class Inside:
    """What containers print, one output for each try; the last one again and again."""

    def __init__(self, *ends: str) -> None:
        self.ends = list(ends)
        self.tried: list[int] = []
        self.is_reachable = True

    @property
    def targets(self) -> Sequence[str]:
        return [CANARY]

    async def reachable(self) -> bool:
        return self.is_reachable

    async def execute(self, container: Container, argv: Sequence[str]) -> WebSocketStream:
        self.tried.append(container.number)
        assert argv[-2:] == [CANARY, SERVER] or argv[-2:] == (CANARY, SERVER)
        canary, control = (self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]).split()
        return cast("WebSocketStream", Printed(f"{CANARY} {canary}\n{SERVER} {control}\n".encode()))


class Printed:
    """An exec stream with an output."""

    def __init__(self, output: bytes) -> None:
        self._pieces = [output[:7], output[7:], b""]

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    async def close(self) -> None:
        self._pieces.clear()


class Setup:
    """A network over these."""

    def __init__(self, inside: Inside, *, refuse: bool = True) -> None:
        self.api, self.proxies, self.inside, self.addresses = Policies(), Admitting(), inside, PodAddresses()
        registry = NetworkTarget(5000, "", "danube-system", {"app.kubernetes.io/name": "registry"})
        options = ClusterNetworkOptions(SERVER, PROXY, (registry,), refuse, lambda job_id: f"password of {job_id}")
        self.network = ClusterNetwork(options, SETTINGS, self.proxies, inside, self.addresses)
        self.network.use(cast("ClusterApi", self.api), inside.execute)

    async def create(self, spec: PodSpec) -> str:
        await self.network.before_pod(spec)
        return await self.network.pod_runs(spec, status(spec))

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.network.keep(), name="keep")
        try:
            yield
        finally:
            await end_all(task)

    def policy(self) -> Mapping[str, Any]:
        (found,) = self.api.objects.values()
        return found


def spec_of(network: Network, *, root: bool = False) -> PodSpec:
    return PodSpec("p1", "job1", "app", Limits(), network, "token", allowlist=("github.com",), run_as_root=root)


def status(spec: PodSpec) -> PodStatus:
    return cast("PodStatus", type("Status", (), {"address": "10.42.0.9"}))


def ports_of(policy: Mapping[str, Any]) -> list[int]:
    return [rule["ports"][0]["port"] for rule in policy["spec"]["egress"]]


def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """One try in each container."""
    for name in ("TRY_SECONDS", "WARN_SECONDS"):
        monkeypatch.setattr(module, name, 0.0)


@pytest.mark.parametrize(
    ("network", "ports"), [(Network.ALLOWLIST, [9090, 5000, 31280]), (Network.LEARN, [9090, 5000, 31280]),
                           (Network.NONE, [9090, 5000])],
)  # fmt: skip
async def test_a_pod_has_its_policy_before_it_runs(network: Network, ports: list[int]) -> None:
    setup = Setup(Inside("refused open"))
    await setup.network.before_pod(spec_of(network))
    policy = setup.policy()
    assert ports_of(policy) == ports
    assert policy["metadata"]["namespace"] == "danube-jobs"
    assert policy["spec"]["podSelector"]["matchLabels"] == {names.INSTANCE: "instance", names.POD: "p1"}
    assert "password" not in str(policy)
    await setup.network.before_pod(spec_of(network))  # as after an interrupted creation


async def test_a_pod_whose_canaries_are_closed_is_enforced() -> None:
    setup = Setup(Inside("refused open"))
    assert await setup.create(spec_of(Network.ALLOWLIST)) == ""
    assert setup.network.enforced_by("p1") is EnforcedBy.NETWORK_POLICY
    pod = setup.proxies.pods["job1"]
    assert (pod.allowlist, pod.password, pod.addresses) == (("github.com",), "password of job1", ("10.42.0.9",))
    assert setup.proxies.calls == ["listen", "admit job1"]
    await setup.network.worker_runs(WORKER)
    assert setup.inside.tried == [0, 1]
    await setup.network.pod_removed("p1", "job1")
    assert (setup.api.objects, setup.proxies.pods) == ({}, {})


async def test_a_policy_that_is_late_is_waited_for() -> None:
    setup = Setup(Inside("open open", "open open", "silent open"))
    assert await setup.create(spec_of(Network.NONE)) == ""
    assert setup.inside.tried == [0, 0, 0]
    assert setup.proxies.pods == {}


async def test_a_cluster_that_enforces_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    setup = Setup(Inside("open open"))
    with pytest.raises(Permanent, match="does not enforce") as raised:
        await setup.create(spec_of(Network.ALLOWLIST))
    assert raised.value.reference == "egress-unenforced"


async def test_a_job_that_runs_all_the_same_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    setup = Setup(Inside("open open"), refuse=False)
    assert "nothing enforces the allowlist" in await setup.create(spec_of(Network.ALLOWLIST))
    assert setup.network.enforced_by("p1") is EnforcedBy.NOTHING
    (condition,) = await setup.network.conditions()
    assert condition.reference == "egress-unenforced"
    assert CANARY in condition.what
    setup.inside.ends = ["refused open"]
    await setup.network.worker_runs(WORKER)
    assert await setup.network.conditions() == ()


async def test_a_worker_that_sees_a_canary_open_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    setup = Setup(Inside("refused open", "open open"))
    await setup.create(spec_of(Network.ALLOWLIST))
    with pytest.raises(Permanent, match="does not enforce"):
        await setup.network.worker_runs(WORKER)


async def test_nothing_is_concluded_without_a_working_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    no_waiting(monkeypatch)
    setup = Setup(Inside("refused open"), refuse=False)
    setup.inside.is_reachable = False
    with pytest.raises(Unavailable, match="cannot be seen"):
        await setup.create(spec_of(Network.NONE))
    closed = Setup(Inside("refused refused"), refuse=False)
    with pytest.raises(Unavailable, match="does not reach"):
        await closed.create(spec_of(Network.NONE))


async def test_a_restarted_server_admits_its_pods_before_it_listens() -> None:
    before = Setup(Inside("refused open"))
    await before.create(spec_of(Network.ALLOWLIST))
    after = Setup(Inside("refused open"))
    after.api.objects = before.api.objects
    after.addresses.assign("10.42.0.9", "job1")
    after.proxies.pods["ended"] = NetworkPod("ended", (), "x", ())
    async with after.kept():
        await wait_until_async(lambda: "listen" in after.proxies.calls, 10, "the proxy")
        assert after.proxies.calls == ["admit job1", "release ended", "listen"]
        assert after.proxies.pods["job1"] == before.proxies.pods["job1"]
        after.proxies.calls.clear()
        after.proxies.pods.clear()  # a proxy has ended
        after.proxies.lost.set()
        await wait_until_async(lambda: after.proxies.calls == ["admit job1", "listen"], 10, "the pod at the next proxy")


async def test_another_danubes_pods_are_left_alone() -> None:
    setup = Setup(Inside("refused open"))
    await setup.create(spec_of(Network.ALLOWLIST, root=True))
    (path,) = setup.api.objects
    assert "/danube-builds/" in path
    foreign = {**setup.policy(), "metadata": {**setup.policy()["metadata"], "labels": {names.INSTANCE: "other"}}}
    other = Setup(Inside("refused open"))
    other.api.objects = {path: foreign}
    async with other.kept():
        await wait_until_async(lambda: other.proxies.calls == ["listen"], 10, "the proxy")
    assert other.proxies.pods == {}
