"""The protocols about ways out of pods, as `core/store.py` has the others: the proxies, and the ledgers that they write."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.runtimes.pods import PodSockets


class EgressProxies(Protocol):
    """The processes that let pods out; each outlives the server and ends with its last pod.

    A runtime hands a pod over once and again whenever `wait_lost` returns and `served` does not name the job any more.
    """

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        """Serve a pod until its holder ends; what was sent to its sockets before waits. Raises Unavailable, Permanent."""
        ...

    async def served(self) -> frozenset[str]:
        """The jobs whose pods are served, also by a proxy that an earlier server has started."""
        ...

    async def wait_lost(self) -> None:
        """Until a proxy has ended since the last call."""
        ...

    async def mask(self, job_id: str) -> None:
        """From when this returns on, nothing that the job can have read by now comes into its ledger, which `serve` sees to by
        itself. A job that no proxy serves has none that is written to. Raises Unavailable where that is not certain."""
        ...

    async def settle(self, job_id: str, step: int) -> None:
        """Write down, as that step's, what was only counted so far. Does nothing for a job that no proxy serves."""
        ...

    async def close(self) -> None:
        """Let go of the proxies; pods are served on."""
        ...


class EgressLedgers(Protocol):
    """`logs/<job_id>.egress`: what each job reached and was refused."""

    def read(self, job_id: str) -> Sequence[Contact]:
        """In the order in which the contacts began; none for a job that has no ledger."""
        ...
