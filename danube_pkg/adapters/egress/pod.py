"""Serves one pod: the sockets in its network and its connections, until the process that holds the network ends."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence

import h11

from danube_pkg.adapters.egress.connection import PodConnection, refusal, serve_client
from danube_pkg.adapters.egress.enforcement import NO_TARGET, EgressEnforcer
from danube_pkg.adapters.egress.relay import reset_on_close
from danube_pkg.core.egress.dns import MAX_DATAGRAM_BYTES, read_question
from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.ledger import Way
from danube_pkg.core.egress.policy import (
    Decision,
    EgressReason,
    Verdict,
    step_of_address,
)
from danube_pkg.kit.readiness import wait_readable
from danube_pkg.kit.records import Mutable
from danube_pkg.kit.tasks import TaskOwner

MAX_CONNECTIONS = 256
"""Simultaneous connections of one pod. Package managers keep up to about fifty; each one takes six descriptors."""

NO_DESCRIPTORS_SECONDS = 0.1
"""Pause before the next accept() if this process has no free descriptor."""

_log = logging.getLogger("danube.egress")


class ServedNetwork(Mutable):
    """One network of a pod: its sockets, a pidfd of its holder, the kernel's counters, and how many bypasses of them
    are recorded. A pod has one, and one more for each isolated leg of a matrix."""

    listener: socket.socket
    names: socket.socket
    holder: int
    counters: Sequence[int]
    bypasses: int = 0

    def close(self) -> None:
        for end in (self.listener, self.names):
            end.close()
        for descriptor in (self.holder, *self.counters):
            os.close(descriptor)


class Pod:
    """Serves until the holder ends or the task is cancelled; then all descriptors of the pod are closed."""

    def __init__(self, enforcer: EgressEnforcer, network: ServedNetwork) -> None:
        self._enforcer = enforcer
        self._network = network
        self._joined: list[ServedNetwork] = []
        self._joins = TaskOwner(self._failed)
        self._clients = TaskOwner(self._failed)
        self._open = 0

    async def serve(self, ended: Callable[[], None]) -> None:
        """Returns at the pod's end, after a call of `ended`."""
        try:
            await self._serve_network(self._network)
        finally:
            await self._joins.close()
            await self._clients.close()
            self.settle(None)
            for network in (self._network, *self._joined):
                network.close()
            self._enforcer.release()
            ended()

    def join(self, network: ServedNetwork) -> None:
        """Serve another network of the pod too, until its holder ends."""
        self._joined.append(network)
        self._joins.start(f"network of {self._enforcer.job_id}", self._serve_joined(network))

    async def _serve_joined(self, network: ServedNetwork) -> None:
        await self._serve_network(network)
        self.settle(None)
        self._joined.remove(network)
        network.close()

    async def _serve_network(self, network: ServedNetwork) -> None:
        """Returns when its holder has ended."""
        owner = TaskOwner(self._failed)
        try:
            owner.start(f"listen {self._enforcer.job_id}", self._listen(network.listener))
            owner.start(f"names {self._enforcer.job_id}", self._answer_names(network.names))
            await wait_readable(network.holder)
        finally:
            await owner.close()

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    async def _listen(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED):
                    raise
                await asyncio.sleep(NO_DESCRIPTORS_SECONDS)
                continue
            self._clients.start("egress client", self._serve_one(connection))

    async def _serve_one(self, connection: socket.socket) -> None:
        self._open += 1
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = PodConnection(connection, step_of_address(connection.getsockname()[0]))
            if self._open > MAX_CONNECTIONS:
                await self._refuse_client(client)
            else:
                await serve_client(self._enforcer, client)
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            _log.debug("connection-lost", extra={"fields": {"job": self._enforcer.job_id, "cause": str(error)}})
            reset_on_close(connection)
        finally:
            self._open -= 1
            connection.close()

    async def _refuse_client(self, client: PodConnection) -> None:
        decision = Decision(Verdict.REFUSED, EgressReason.TOO_MANY_CONNECTIONS)
        refused = self._enforcer.record_refusal(self._enforcer.contact(Way.CONNECT, client.step, NO_TARGET, decision))
        await client.refuse(refusal(refused.contact))

    async def _answer_names(self, names: socket.socket) -> None:
        """Refuses each DNS query at once, so that programs need not wait for a timeout."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                datagram, sender = await loop.sock_recvfrom(names, MAX_DATAGRAM_BYTES)
                question = read_question(datagram)
                if question is not None:
                    self._enforcer.record_dns_lookup(question[0])
                    await loop.sock_sendto(names, question[1], sender)
            except ConnectionError as error:  # the program has closed its socket
                _log.debug("question-lost", extra={"fields": {"job": self._enforcer.job_id, "cause": str(error)}})

    @property
    def masks(self) -> HostMasks:
        """The masks for names of this pod."""
        return self._enforcer.masks

    def mask(self, masks: HostMasks) -> None:
        """Replaces the masks."""
        self._enforcer.mask(masks)

    def settle(self, step: int | None) -> None:
        """Records attempts that were only counted since the last call, by the enforcer and by the kernel."""
        self._enforcer.settle()
        for network in (self._network, *self._joined):
            bypasses = sum(_no_routes(descriptor) for descriptor in network.counters)
            if bypasses > network.bypasses:
                self._enforcer.record_bypass(bypasses - network.bypasses, step)
                network.bypasses = bypasses


def _no_routes(descriptor: int) -> int:
    """OutNoRoutes of /proc/net/snmp or Ip6OutNoRoutes of /proc/net/snmp6: attempts to send without a route."""
    lines = os.pread(descriptor, 64 * 1024, 0).decode("ascii", errors="replace").splitlines()
    names, values = ([*(line.split() for line in lines if line.startswith("Ip: ")), [], []])[:2]
    if names:
        return int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    return sum(int(line.split()[1]) for line in lines if line.startswith("Ip6OutNoRoutes"))
