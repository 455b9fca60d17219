"""The proxy's process: `python -m danube_pkg.adapters.egress.program CONTROL_FD USER`.

A server starts it and hands pods over with all their descriptors; then it does not need the server any more. Each pod
is served until its holder ends; without a pod the process ends. It runs as USER (0: the user that started it), so that
code that talks to other servers has no rights on this machine, and other processes cannot read its memory.
"""

import asyncio
import ctypes
import encodings.idna  # noqa: F401 - encodes host names; it may not be readable after the rights are dropped
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
from danube_pkg.adapters.egress.dialer import Dialer
from danube_pkg.adapters.egress.enforcement import EgressEnforcer
from danube_pkg.adapters.egress.ledgers import LedgerWriter
from danube_pkg.adapters.egress.network import AdmittedPod, NetworkPods
from danube_pkg.adapters.egress.pod import Pod, ServedNetwork
from danube_pkg.core.egress.policy import Policy
from danube_pkg.core.logs.finders import best_finder
from danube_pkg.core.runtimes.pods import INFRASTRUCTURE_OOM_SCORE
from danube_pkg.kit.logs import set_up_logging
from danube_pkg.kit.oom_score import lower_oom_score
from danube_pkg.kit.readiness import wait_readable
from danube_pkg.kit.tasks import TaskOwner, end_all

IDLE_SECONDS = 300.0
"""How long it runs without a pod while a server is connected, so that the next job need not wait: a start takes as much
processor time as half a job, an idle proxy 20 MB."""

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38

_log = logging.getLogger("danube.egress")


class Proxy:
    """The pods of this process, and the servers that are connected to it."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._dialer = Dialer()
        self._pods: dict[str, Pod] = {}
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._network = NetworkPods()
        self._servers = 0
        self._changed = asyncio.Event()
        self._owner = TaskOwner(self._failed)

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    async def run(self, listening: socket.socket) -> None:
        """Returns when there are no more pods, or on SIGTERM."""
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
            await self._network.close()
            self._dialer.close()

    async def _until_idle(self) -> None:
        """Returns after IDLE_SECONDS without a pod, or when there is neither a pod nor a connected server. While it
        listens on the network for a connected server, it continues."""
        has_started = False
        while self._has_pods() or self._servers or not has_started:
            self._changed.clear()
            is_needed = self._has_pods() or (self._servers and self._network.listener is not None)
            try:
                async with asyncio.timeout(None if is_needed else IDLE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                return
            has_started = True

    def _has_pods(self) -> bool:
        return bool(self._pods or self._network.pods)

    # --- requests of servers

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            self._owner.start("server", self._serve_server(connection))

    async def _serve_server(self, connection: socket.socket) -> None:
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
                answer = await self._answer(*packet)
                if answer is not None:
                    send_packet(connection, answer, self._passed_on(packet[0]))
        except OSError as error:
            _log.info("server-lost", extra={"fields": {"cause": str(error)}})
        finally:
            connection.close()
            self._servers -= 1
            self._changed.set()

    async def _answer(self, message: Mapping[str, Any], descriptors: Sequence[int]) -> Mapping[str, Any] | None:
        match message["verb"]:
            case "serve":
                self._serve(message, descriptors)
                return None
            case "join":
                return {"joined": self._join(str(message["job"]), descriptors)}
            case "withdraw":
                await self._withdraw(str(message["job"]))
                return {"withdrawn": message["job"]}
            case "mask":
                self._mask(str(message["job"]), descriptors)
                return {"masked": message["job"]}
            case "pods":
                return {"pods": [*self._pods, *self._network.pods], "network": list(self._network.pods)}
            case "settle":
                if (pod := self._pod(message["job"])) is not None:
                    pod.settle(message["step"])
                return {"settled": message["job"]}
            case "admit":
                self._admit(message, descriptors)
                return {"admitted": message["job"]}
            case "release":
                await self._network.release(str(message["job"]))
                self._changed.set()
                return {"released": message["job"]}
            case "listen":
                self._network.listen(socket.socket(fileno=descriptors[0]))
                self._changed.set()
                return {"listens": True}
            case "listener":
                return {"listens": self._network.listener is not None}
            case "retire":
                self._network.retire()
                self._changed.set()
                return {"retired": True}
        return {"unknown": message["verb"]}

    def _passed_on(self, message: Mapping[str, Any]) -> Sequence[int]:
        """The descriptors of a response."""
        listener = self._network.listener
        return (listener.fileno(),) if message["verb"] == "listener" and listener is not None else ()

    def _pod(self, job_id: str) -> Pod | AdmittedPod | None:
        return self._pods.get(job_id) or self._network.pods.get(job_id)

    def _enforcer(self, message: Mapping[str, Any], ledger_file: int, masks_file: int) -> EgressEnforcer:
        job_id = str(message["job"])
        policy = Policy(message["allowlist"], learn=message["learn"])
        ledger = LedgerWriter(job_id, ledger_file)
        ledger.masks = read_masks(masks_file)
        return EgressEnforcer(self._name, job_id, policy, message["hosts"], ledger, self._dialer)

    def _admit(self, message: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        job_id = str(message["job"])
        if (known := self._network.pods.get(job_id)) is not None:
            known.move(message["sources"])
            for descriptor in descriptors:
                os.close(descriptor)
            return
        enforcer = self._enforcer(message, *descriptors)
        self._network.pods[job_id] = AdmittedPod(enforcer, message["password"], message["sources"])
        self._changed.set()

    def _serve(self, message: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        job_id = str(message["job"])
        given = dict(zip(DESCRIPTORS, descriptors, strict=False))
        if job_id in self._pods:  # a server that was interrupted hands it over twice
            for descriptor in descriptors:
                os.close(descriptor)
            return
        enforcer = self._enforcer(message, given["ledger"], given["masks"])
        sockets = [socket.socket(fileno=given[name]) for name in ("listener", "names")]
        for one in sockets:
            one.setblocking(False)
        counters = [given[name] for name in ("counters", "counters6") if name in given]
        network = ServedNetwork(sockets[0], sockets[1], given["holder"], counters)
        pod = self._pods[job_id] = Pod(enforcer, network)

        def ended() -> None:
            del self._pods[job_id], self._serving[job_id]
            self._changed.set()

        self._serving[job_id] = self._owner.start(f"pod {job_id}", pod.serve(ended))
        self._changed.set()

    async def _withdraw(self, job_id: str) -> None:
        if (task := self._serving.get(job_id)) is not None:
            await end_all(task)

    def _join(self, job_id: str, descriptors: Sequence[int]) -> bool:
        """Whether the pod is served here."""
        pod = self._pods.get(job_id)
        if pod is None:
            for descriptor in descriptors:
                os.close(descriptor)
            return False
        listener, names, holder, *counters = descriptors
        sockets = [socket.socket(fileno=one) for one in (listener, names)]
        for one in sockets:
            one.setblocking(False)
        pod.join(ServedNetwork(sockets[0], sockets[1], holder, counters))
        return True

    def _mask(self, job_id: str, descriptors: Sequence[int]) -> None:
        masks = read_masks(descriptors[0])
        if (pod := self._pod(job_id)) is not None:
            pod.mask(masks)

    def redact(self, text: str) -> str:
        """Masks a line of this process's log, which may contain host names."""
        pods: list[Pod | AdmittedPod] = [*self._pods.values(), *self._network.pods.values()]
        for pod in pods:
            text = pod.masks.mask(text)
        return text


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def drop_rights(user: int) -> None:
    """Becomes that user permanently. Other processes cannot read this one's memory, and no child can gain rights."""
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def main(control: int, user: int) -> None:
    """Runs the proxy. All modules are loaded before the rights are dropped; the resolver reads its files later."""
    proxy = Proxy()
    set_up_logging(sys.stderr, "warning", proxy.redact)
    best_finder()  # loads its library before the rights are dropped
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    lower_oom_score(INFRASTRUCTURE_OOM_SCORE)
    drop_rights(user)
    asyncio.run(proxy.run(socket.socket(fileno=control)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
