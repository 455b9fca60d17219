"""One pod as the proxy serves it: the sockets in its network, its connections, and the process whose end is its end."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence

import h11

from danube_pkg.adapters.egress.connection import PodConnection, refusal, serve_client
from danube_pkg.adapters.egress.gate import NO_TARGET, Gate
from danube_pkg.adapters.egress.relay import break_off
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
from danube_pkg.kit.tasks import TaskOwner

MAX_CONNECTIONS = 256
"""Of one pod at once. The busiest package managers keep some fifty; each connection takes six descriptors."""

FULL_SECONDS = 0.1
"""Before the next try to accept, where this process has no descriptor left."""

_log = logging.getLogger("danube.egress")


class Pod:
    """Serves until the holder ends or `close` is called; then everything of the pod is let go."""

    def __init__(
        self, gate: Gate, listener: socket.socket, names: socket.socket, holder: int, counters: Sequence[int]
    ) -> None:
        self._gate = gate
        self._listener = listener
        self._names = names
        self._holder = holder
        self._counters = counters
        self._past = 0
        self._clients = TaskOwner(self._failed)
        self._open = 0

    async def serve(self, ended: Callable[[], None]) -> None:
        """Until the pod's end; `ended` is called then."""
        owner = TaskOwner(self._failed)
        try:
            owner.start(f"listen {self._gate.job_id}", self._listen())
            owner.start(f"names {self._gate.job_id}", self._answer_names())
            await wait_readable(self._holder)
        finally:
            await owner.close()
            await self._clients.close()
            self.settle(None)
            for end in (self._listener, self._names):
                end.close()
            for descriptor in (self._holder, *self._counters):
                os.close(descriptor)
            self._gate.release()
            ended()

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED):
                    raise
                await asyncio.sleep(FULL_SECONDS)
                continue
            self._clients.start("egress client", self._serve_one(connection))

    async def _serve_one(self, connection: socket.socket) -> None:
        self._open += 1
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = PodConnection(connection, step_of_address(connection.getsockname()[0]))
            if self._open > MAX_CONNECTIONS:
                await self._turn_away(client)
            else:
                await serve_client(self._gate, client)
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            _log.debug("connection-lost", extra={"fields": {"job": self._gate.job_id, "cause": str(error)}})
            break_off(connection)
        finally:
            self._open -= 1
            connection.close()

    async def _turn_away(self, client: PodConnection) -> None:
        decision = Decision(Verdict.REFUSED, EgressReason.TOO_MANY_CONNECTIONS)
        stopped = self._gate.stopped(self._gate.contact(Way.CONNECT, client.step, NO_TARGET, decision))
        await client.say_no(refusal(stopped.contact))

    async def _answer_names(self) -> None:
        """Every question is refused at once, which a program understands sooner than silence."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                datagram, place = await loop.sock_recvfrom(self._names, MAX_DATAGRAM_BYTES)
                question = read_question(datagram)
                if question is not None:
                    self._gate.looked_up(question[0])
                    await loop.sock_sendto(self._names, question[1], place)
            except ConnectionError as error:  # who asked has left
                _log.debug("question-lost", extra={"fields": {"job": self._gate.job_id, "cause": str(error)}})

    @property
    def masks(self) -> HostMasks:
        """What no name of this pod's may show."""
        return self._gate.masks

    def mask(self, masks: HostMasks) -> None:
        """From now on, these."""
        self._gate.mask(masks)

    def settle(self, step: int | None) -> None:
        """Write down what was only counted since the last time, by the gate and by the kernel."""
        self._gate.settle()
        past = sum(_no_routes(descriptor) for descriptor in self._counters)
        if past > self._past:
            self._gate.went_past(past - self._past, step)
            self._past = past


def _no_routes(descriptor: int) -> int:
    """OutNoRoutes of /proc/net/snmp or Ip6OutNoRoutes of /proc/net/snmp6: attempts to send where no route leads."""
    lines = os.pread(descriptor, 64 * 1024, 0).decode("ascii", errors="replace").splitlines()
    names, values = ([*(line.split() for line in lines if line.startswith("Ip: ")), [], []])[:2]
    if names:
        return int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    return sum(int(line.split()[1]) for line in lines if line.startswith("Ip6OutNoRoutes"))
