"""The egress of a pod: sockets created in its network and served from outside by an egress proxy.

Nothing of it runs in the pod or is visible there: a process of the host holds sockets that belong to the pod's
network. So no step can end or replace it, and the socket that a connection arrives on says which pod it is from.

Proxies know a pod by its job: the ledger that they write, what they mask in it and the step of a connection are the
job's.
"""

import asyncio
import contextlib
import logging
import os
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodRecord
from danube_pkg.core.egress.policy import PROXY_PORT
from danube_pkg.core.egress.ports import EgressProxies
from danube_pkg.core.errors import Defect, PlatformError, Unavailable
from danube_pkg.core.runtimes.pods import Network, PodSockets
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.processes import child_process

RETRY_CAP_SECONDS = 30.0
"""At most this long between two attempts to replace a proxy that ends again and again."""

_log = logging.getLogger("danube.sandbox")


class PodEgress:
    """Hands pods to the egress proxies, and hands them over again when a proxy has ended."""

    def __init__(
        self,
        namespaces: Path,
        proxies: EgressProxies,
        legs_of: Callable[[PodRecord], Sequence[PodRecord]] = lambda record: (),
    ) -> None:
        """legs_of: a pod as each of its isolated legs has it."""
        self._namespaces = namespaces
        self._proxies = proxies
        self._legs_of = legs_of
        self._lock = asyncio.Lock()
        """Held while pods are handed over: a new pod, the repeated creation of one and the restoration of all run side
        by side, and a second hand-over would find the pod's address in use."""
        self._handed: set[str] = set()
        """Pods that this process has handed over."""
        self._withdrawn: set[str] = set()
        """Pods that it must not hand over again, by a record that was read before."""

    async def open(self, record: PodRecord) -> None:
        """Have a pod served if its network goes through a proxy. Raises Permanent, Unavailable."""
        if not record.network.through_proxy:
            return
        async with self._lock:
            if record.pod_id not in self._handed:
                await self._open(record)

    async def _open(self, record: PodRecord) -> None:
        if not record.job_id:
            raise Defect("egress-without-job", f"pod {record.pod_id} has no job whose egress ledger could be written")
        with contextlib.ExitStack() as stack:
            sockets = await self._sockets(record, stack)
            learn = record.network is Network.LEARN
            await self._proxies.serve(record.job_id, record.allowlist, sockets, learn=learn)
        self._handed.add(record.pod_id)
        for leg in self._legs_of(record):
            await self._join(leg)

    async def open_leg(self, leg: PodRecord) -> None:
        """Have the network of an isolated leg served as its pod is. leg: the pod as the leg has it; once for each
        holder. Raises Unavailable."""
        if leg.network.through_proxy:
            async with self._lock:
                await self._join(leg)

    async def _join(self, leg: PodRecord) -> None:
        with contextlib.ExitStack() as stack:
            await self._proxies.join(leg.job_id, await self._sockets(leg, stack))

    async def withdraw(self, record: PodRecord) -> None:
        """Have a pod served no longer, which has no network from now on. Raises Permanent, Unavailable."""
        async with self._lock:
            self._withdrawn.add(record.pod_id)
            await self._proxies.withdraw(record.job_id)

    def forget(self, pod_id: str) -> None:
        """The pod was removed."""
        self._handed.discard(pod_id)
        self._withdrawn.discard(pod_id)

    async def restore(self, records: Sequence[PodRecord]) -> None:
        """Open what no proxy serves. All are tried before the first failure is raised."""
        async with self._lock:
            await self._restore([record for record in records if record.network.through_proxy])

    async def _restore(self, wanted: Sequence[PodRecord]) -> None:
        if not wanted:
            return
        served = await self._proxies.served()
        failures: list[PlatformError] = []
        for record in wanted:
            if record.job_id in served or record.pod_id in self._withdrawn or not record.holder.lives():
                continue
            _log.warning("way-out-reopened", extra={"fields": {"job": record.job_id, "pod": record.pod_id}})
            try:
                await self._open(record)
            except PlatformError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def keep(self, running: Callable[[], Sequence[PodRecord]]) -> None:
        """Restore now, and whenever a proxy has ended, until cancelled; with backoff while proxies end at once."""
        backoff = Backoff(0.1, RETRY_CAP_SECONDS, random.random)
        while True:
            records = running()
            self._handed &= {record.pod_id for record in records}
            try:
                await self.restore(records)
            except PlatformError as error:
                _log.error("way-out-closed", extra={"fields": {"cause": str(error)}})
                await asyncio.sleep(backoff.next())
                continue
            started = asyncio.get_running_loop().time()
            await self._proxies.wait_lost()
            if asyncio.get_running_loop().time() - started > RETRY_CAP_SECONDS:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())

    async def _sockets(self, record: PodRecord, stack: contextlib.ExitStack) -> PodSockets:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            async with child_process(
                str(self._namespaces), "listen", str(record.holder.pid), str(PROXY_PORT), str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
                env={}, cwd="/", pass_fds=(theirs.fileno(),),
            ) as process:  # fmt: skip
                _, errors = await process.communicate()
            theirs.close()
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 2, socket.MSG_CMSG_CLOEXEC)
        stack.callback(_close, descriptors)
        if len(descriptors) != 2:
            cause = errors.decode(errors="replace").strip()
            raise Unavailable("egress-not-opened", f"the egress of pod {record.pod_id} cannot be opened", cause=cause)
        try:
            holder = stack.enter_context(_descriptor(os.pidfd_open(record.holder.pid)))
            counters = [
                stack.enter_context(_descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC)))
                for name in ("snmp", "snmp6")
                if (path := Path(f"/proc/{record.holder.pid}/net/{name}")).exists()
            ]
        except (ProcessLookupError, FileNotFoundError) as error:
            raise Unavailable("egress-not-opened", f"pod {record.pod_id} has ended") from error
        return PodSockets(descriptors[0], descriptors[1], holder, tuple(counters))


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


@contextlib.contextmanager
def _descriptor(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
