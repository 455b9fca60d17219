"""The proxy's process: `python -m danube_pkg.adapters.egress.program CONTROL_FD USER`.

It is started by a server and needs none: pods are handed to it once, with every descriptor that it will ever use, and each
is served until its holder ends. Without a pod it ends by itself. It runs as USER (0: as who started it), so that what speaks
with the world has no rights over this machine, and its memory is closed to others.
"""

import asyncio
import ctypes
import encodings.idna  # noqa: F401 - names are encoded by it, and once the rights are gone it may not be found any more
import logging
import os
import resource
import secrets
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.adapters.egress.control import DESCRIPTORS, read_masks, receive_packet, send_packet
from danube_pkg.adapters.egress.gate import Gate
from danube_pkg.adapters.egress.ledgers import LedgerWriter
from danube_pkg.adapters.egress.outside import Outside
from danube_pkg.adapters.egress.pod import Pod
from danube_pkg.core.egress.policy import Policy
from danube_pkg.core.logs.redaction import best_finder
from danube_pkg.kit.logs import set_up_logging
from danube_pkg.kit.readiness import wait_readable
from danube_pkg.kit.tasks import TaskOwner

IDLE_SECONDS = 30.0
"""Without a pod, while a server is there: the next job need not wait for a start. It costs that server's machine 20 MB."""

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38

_log = logging.getLogger("danube.egress")


class Proxy:
    """All pods that were handed to this process, and the servers that are connected to it."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._outside = Outside()
        self._pods: dict[str, Pod] = {}
        self._servers = 0
        self._changed = asyncio.Event()
        self._owner = TaskOwner(self._failed)

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    async def run(self, listening: socket.socket) -> None:
        """Until there is nothing left to do, or SIGTERM."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        listening.setblocking(False)
        try:
            self._owner.start("control", self._accept(listening))
            idle = self._owner.start("idle", self._until_idle())
            stopped = self._owner.start("stop", _until(stop))
            await asyncio.wait((idle, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.close()
            await self._owner.close()
            self._outside.close()

    async def _until_idle(self) -> None:
        """Returns when there has been no pod for a while, or when the last pod and the last server have gone."""
        begun = False
        while self._pods or self._servers or not begun:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if self._pods else IDLE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                return
            begun = True

    # --- the server's side

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            self._owner.start("server", self._obey(connection))

    async def _obey(self, connection: socket.socket) -> None:
        self._servers += 1
        self._changed.set()
        try:
            while True:
                try:
                    packet = receive_packet(connection)
                except BlockingIOError:
                    await wait_readable(connection.fileno())
                    continue
                if packet is None:
                    return
                answer = self._answer(*packet)
                if answer is not None:
                    send_packet(connection, answer)
        except OSError as error:
            _log.info("server-lost", extra={"fields": {"cause": str(error)}})
        finally:
            connection.close()
            self._servers -= 1
            self._changed.set()

    def _answer(self, message: Mapping[str, Any], descriptors: Sequence[int]) -> Mapping[str, Any] | None:
        match message["verb"]:
            case "serve":
                self._serve(message, descriptors)
                return None
            case "mask":
                self._mask(str(message["job"]), descriptors)
                return {"masked": message["job"]}
            case "pods":
                return {"pods": list(self._pods)}
            case "settle":
                if (pod := self._pods.get(message["job"])) is not None:
                    pod.settle(message["step"])
                return {"settled": message["job"]}
        return {"unknown": message["verb"]}

    def _serve(self, message: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        job_id = str(message["job"])
        given = dict(zip(DESCRIPTORS, descriptors, strict=False))
        if job_id in self._pods:  # handed over twice by a server that was interrupted in between
            for descriptor in descriptors:
                os.close(descriptor)
            return
        policy = Policy(message["allowlist"], learn=message["learn"])
        ledger = LedgerWriter(job_id, given["ledger"])
        ledger.masks = read_masks(given["masks"])
        gate = Gate(self._name, job_id, policy, message["hosts"], ledger, self._outside)
        sockets = [socket.socket(fileno=given[name]) for name in ("listener", "names")]
        for one in sockets:
            one.setblocking(False)
        counters = [given[name] for name in ("counters", "counters6") if name in given]
        pod = self._pods[job_id] = Pod(gate, sockets[0], sockets[1], given["holder"], counters)

        def ended() -> None:
            del self._pods[job_id]
            self._changed.set()

        self._owner.start(f"pod {job_id}", pod.serve(ended))
        self._changed.set()

    def _mask(self, job_id: str, descriptors: Sequence[int]) -> None:
        masks = read_masks(descriptors[0])
        if (pod := self._pods.get(job_id)) is not None:
            pod.mask(masks)

    def redact(self, text: str) -> str:
        """A line of this process's own log: whatever broke may have been about a name."""
        for pod in self._pods.values():
            text = pod.masks.mask(text)
        return text


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def drop_rights(user: int) -> None:
    """Become that user, for good; nobody may look into this process, and nothing that it starts can gain rights."""
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def main(control: int, user: int) -> None:
    """Everything that is needed is loaded by now; what is left to read is the resolver's."""
    proxy = Proxy()
    set_up_logging(sys.stderr, "warning", proxy.redact)
    best_finder()  # loads its library while it can
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    drop_rights(user)
    asyncio.run(proxy.run(socket.socket(fileno=control)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
