"""A pod is handed to a proxy once, however many find at the same time that it is not served (O-24)."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.pod_egress import PodEgress
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodRecord, ProcessMark
from danube_pkg.core.runtimes.pods import Limits, Network, PodSockets
from tests.fakes.egress import NoProxies
from tests.support.waiting import let_others_run


class CountingProxies(NoProxies):
    """Proxies that serve what they are given, and take a moment for it."""

    def __init__(self) -> None:
        self.given: list[str] = []

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        await let_others_run()
        self.given.append(job_id)

    async def served(self) -> frozenset[str]:
        await let_others_run()
        return frozenset(self.given)


class PodEgressWithoutNetwork(PodEgress):
    """Makes no sockets, and takes a moment for it."""

    async def _sockets(self, record: PodRecord, stack: contextlib.ExitStack) -> PodSockets:
        await let_others_run()
        return PodSockets(-1, -1, -1, ())


def pod(name: str) -> PodRecord:
    mark = ProcessMark.of(os.getpid())
    assert mark is not None
    return PodRecord(name, "data", f"job-{name}", mark, 0, Network.ALLOWLIST, (), Limits(), False)


async def test_a_repeated_creation_and_the_restoration_hand_a_pod_over_once() -> None:
    proxies = CountingProxies()
    egress = PodEgressWithoutNetwork(Path("/nowhere"), proxies)
    old, new = pod("old"), pod("new")
    keeping = asyncio.create_task(egress.keep(lambda: (old, new)), name="keep")
    await asyncio.gather(egress.restore([old]), egress.open(new), egress.restore([old, new]), egress.open(new))
    assert sorted(proxies.given) == ["job-new", "job-old"]
    keeping.cancel()
    proxies.given.clear()  # the proxy has ended: what was handed over before is handed over again
    await egress.restore([old, new])
    assert sorted(proxies.given) == ["job-new", "job-old"]


async def test_nothing_is_kept_of_a_removed_pod() -> None:
    """One that has the same id later is handed over again, and a server that runs for years does not grow."""
    proxies = CountingProxies()
    egress = PodEgressWithoutNetwork(Path("/nowhere"), proxies)
    for _ in range(2):
        await egress.open(pod("same"))
        egress.forget("same")
    assert proxies.given == ["job-same", "job-same"]
