"""Ports of egress: the proxies, and the ledgers that they write."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from danube_pkg.core.egress.ledger import Contact
from danube_pkg.core.runtimes.pods import PodSockets
from danube_pkg.kit.digests import Digest
from danube_pkg.kit.records import HIDDEN, Record


class NetworkPod(Record):
    """A pod whose programs reach the proxy over a network.

    password: `JobKeys.egress_password`. addresses: those of the pod; a connection from another one is refused, except
    from networks that the configuration names because addresses are translated there.
    """

    job_id: str
    allowlist: tuple[str, ...]
    password: Annotated[str, HIDDEN]
    addresses: tuple[str, ...]
    learn: bool = False


class EgressProxies(Protocol):
    """The proxy processes; each outlives the server and ends with its last pod.

    A runtime hands a pod over once, and again when `wait_lost` returns and `served` does not contain the job any more:
    with `serve` a pod whose network it can enter, with `admit` one that connects over a network.
    """

    async def admit(self, pod: NetworkPod) -> None:
        """Serves a pod until `release`, from now on with these addresses. Idempotent. Raises Unavailable, Permanent."""
        ...

    async def release(self, job_id: str) -> None:
        """Ends the connections of a pod that was admitted; no error without one. Raises Unavailable."""
        ...

    async def listen(self) -> None:
        """Accepts connections over the network, which wait until then: to be called once all running pods were
        admitted, at the start and after `wait_lost`. Raises Permanent where the address cannot be used."""
        ...

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        """Serves a pod until its holder ends; earlier input on its sockets waits. Raises Unavailable, Permanent."""
        ...

    async def join(self, job_id: str, sockets: PodSockets) -> None:
        """Serves another network of a pod that is served, until its holder ends, by the same rules and with the same
        ledger. Raises Unavailable where the pod is not served, Permanent where its proxy cannot do it."""
        ...

    async def withdraw(self, job_id: str) -> None:
        """Ends the service of a pod that `serve` has begun, with the networks that joined it: nothing is let out any
        more, and nothing recorded. No error without one. Raises Unavailable, Permanent where its proxy cannot do it."""
        ...

    async def served(self) -> frozenset[str]:
        """The jobs whose pods are served, including those of an earlier server's proxies."""
        ...

    async def wait_lost(self) -> None:
        """Returns when a proxy has ended since the last call."""
        ...

    async def mask(self, job_id: str) -> None:
        """Masks the values that the job can have read by now in its ledger; they are masked when this returns.

        `serve` does it by itself, and without a proxy no ledger is written. Raises Unavailable if it is not certain.
        """
        ...

    async def settle(self, job_id: str, step: int) -> None:
        """Records attempts that were only counted, as those of that step. Does nothing for a job without a proxy."""
        ...

    async def close(self) -> None:
        """Disconnects from the proxies, which continue to serve pods."""
        ...


class CanarySource(Protocol):
    """Ports that no pod of a job may reach."""

    @property
    def targets(self) -> Sequence[str]:
        """`ADDRESS:PORT` of each."""
        ...

    async def reachable(self) -> bool:
        """Whether this server reaches all of them; otherwise a closed one would prove nothing of a pod."""
        ...


class EgressLedgers(Protocol):
    """The ledgers, `logs/<job_id>.egress`: the contacts of each job."""

    def read(self, job_id: str) -> Sequence[Contact]:
        """The contacts in the order of their beginning; empty for a job without a ledger."""
        ...

    def digest(self, job_id: str) -> Digest:
        """Size and hash of its whole lines so far, which are on disk then. It blocks for that: call it in a thread."""
        ...

    def read_raw(self, job_id: str, begin: int, end: int) -> bytes:
        """Its bytes from offset `begin` up to `end`, fewer where it is shorter. It blocks as `digest` does."""
        ...

    def append(self, job_id: str, contact: Contact) -> None:
        """Records a contact that the server makes for the job, before it makes it. Names are masked already.

        Raises StorageFull: what cannot be recorded is not contacted.
        """
        ...
