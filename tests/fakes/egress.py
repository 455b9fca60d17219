"""A stub of `core.egress.ports.EgressProxies`: it serves no pod."""

import asyncio
from collections.abc import Sequence

from danube_pkg.core.egress.ports import NetworkPod
from danube_pkg.core.errors import Defect
from danube_pkg.core.runtimes.pods import PodSockets


class NoProxies:
    """Proxies for runtimes whose pods have no egress."""

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        raise Defect("no-egress", "this fake serves no pod")

    async def admit(self, pod: NetworkPod) -> None:
        raise Defect("no-egress", "this fake serves no pod")

    async def release(self, job_id: str) -> None:
        return None

    async def listen(self) -> None:
        return None

    async def join(self, job_id: str, sockets: PodSockets) -> None:
        raise Defect("no-egress", "this fake serves no pod")

    async def withdraw(self, job_id: str) -> None:
        return None

    async def served(self) -> frozenset[str]:
        return frozenset()

    async def wait_lost(self) -> None:
        await asyncio.Event().wait()

    async def mask(self, job_id: str) -> None:
        return None

    async def settle(self, job_id: str, step: int) -> None:
        return None

    async def close(self) -> None:
        return None
