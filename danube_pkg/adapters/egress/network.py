"""Serves pods that reach the proxy over a network, all of them through one listening socket.

In the sandbox the socket says which pod a connection is from. Here the credential in the first request says it, and
the connection must come from an address of that pod. What follows is the same.

The socket can be passed on: an upgraded server gives it to its own proxy, and this one keeps the connections that it
has. A connection that waits meanwhile is accepted by the other process.
"""

import asyncio
import errno
import hmac
import logging
import socket
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import h11

from danube_pkg.adapters.egress.connection import (
    HEAD_BYTES,
    PodConnection,
    read_request,
    refusal,
    serve_request,
)
from danube_pkg.adapters.egress.enforcement import NO_TARGET, EgressEnforcer
from danube_pkg.adapters.egress.pod import MAX_CONNECTIONS, NO_DESCRIPTORS_SECONDS
from danube_pkg.adapters.egress.relay import reset_on_close
from danube_pkg.core.egress.credentials import ProxyCredential, parse_credential
from danube_pkg.core.egress.denials import credential_page
from danube_pkg.core.egress.host_masks import HostMasks
from danube_pkg.core.egress.ledger import Way
from danube_pkg.core.egress.policy import Decision, EgressReason, Verdict
from danube_pkg.kit.tasks import TaskOwner

MAX_UNKNOWN = 256
"""Connections of one address whose first request has not arrived. A node's address may stand for all of its pods."""

_log = logging.getLogger("danube.egress")


class AdmittedPod:
    """One pod, until it is released. sources: addresses and networks from which its connections may come."""

    def __init__(self, enforcer: EgressEnforcer, password: str, sources: Sequence[str]) -> None:
        self.enforcer = enforcer
        self._password = password
        self.clients = TaskOwner(self._failed)
        self.sources: Sequence[str] = ()
        self.open = 0
        self.move(sources)

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name, "job": self.enforcer.job_id}})

    def move(self, sources: Sequence[str]) -> None:
        """Connections may come from there from now on."""
        self.sources = tuple(sources)
        self._networks = [ip_network(text) for text in sources]

    def accepts(self, password: str) -> bool:
        """Whether it is the pod's password."""
        return hmac.compare_digest(self._password.encode(), password.encode())

    def is_at(self, address: str) -> bool:
        """Whether a connection of the pod may come from that address."""
        return any(ip_address(address) in network for network in self._networks)

    @property
    def masks(self) -> HostMasks:
        return self.enforcer.masks

    def mask(self, masks: HostMasks) -> None:
        self.enforcer.mask(masks)

    def settle(self, step: int | None) -> None:
        """Records attempts that were only counted. Those past the proxy are seen by the network's policy alone."""
        self.enforcer.settle()

    async def end(self) -> None:
        """Ends its connections and closes its ledger."""
        await self.clients.close()
        self.settle(None)
        self.enforcer.release()


class NetworkPods:
    """The admitted pods by job, and the socket on which their connections arrive."""

    def __init__(self) -> None:
        self.pods: dict[str, AdmittedPod] = {}
        self._listener: socket.socket | None = None
        self._unknown: Counter[str] = Counter()
        self._owner = TaskOwner(self._failed)
        self._accepting: asyncio.Task[None] | None = None

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    @property
    def listener(self) -> socket.socket | None:
        """The socket, while connections are accepted."""
        return self._listener

    def listen(self, listener: socket.socket) -> None:
        """Accept connections. A second socket, from a server that was interrupted, is closed."""
        if self._listener is not None:
            listener.close()
            return
        listener.setblocking(False)
        self._listener = listener
        self._accepting = self._owner.start("listen on the network", self._accept(listener))

    def retire(self) -> None:
        """Accept no more connections; another process has the socket."""
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            self._listener.close()
        self._accepting = self._listener = None

    async def close(self) -> None:
        self.retire()
        await self._owner.close()
        for job_id in list(self.pods):
            await self.release(job_id)

    async def release(self, job_id: str) -> None:
        """End a pod's connections; no error for a pod that is not known."""
        pod = self.pods.pop(job_id, None)
        if pod is not None:
            await pod.end()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED):
                    raise
                await asyncio.sleep(NO_DESCRIPTORS_SECONDS)
                continue
            address = str(peer[0]).removeprefix("::ffff:")
            if self._unknown[address] >= MAX_UNKNOWN:
                connection.close()
                continue
            self._unknown[address] += 1
            self._owner.start("egress client", self._identify(connection, address))

    async def _identify(self, connection: socket.socket, address: str) -> None:
        """Read the first request, and pass the connection on to its pod."""
        client = PodConnection(connection, None)
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        passed_on = False
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = await read_request(client, protocol)
            if request is None:
                return
            credential = parse_credential(dict(request.headers).get(b"proxy-authorization"))
            pod = self._pod_of(credential, address)
            if pod is None:
                await client.refuse(self._unauthorised(credential, address))
                return
            step = credential.step if credential is not None else None
            pod.clients.start("egress client", _serve(pod, PodConnection(connection, step), protocol, request))
            passed_on = True
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            _log.debug("connection-lost", extra={"fields": {"address": address, "cause": str(error)}})
            reset_on_close(connection)
        finally:
            self._unknown[address] -= 1
            if not self._unknown[address]:
                del self._unknown[address]
            if not passed_on:
                connection.close()

    def _pod_of(self, credential: ProxyCredential | None, address: str) -> AdmittedPod | None:
        pod = self.pods.get(credential.job_id) if credential is not None else None
        if pod is None or credential is None or not pod.accepts(credential.password):
            return None
        return pod if pod.is_at(address) else None

    def _unauthorised(self, credential: ProxyCredential | None, address: str) -> bytes:
        """The response (RFC 9110, section 15.5.8), recorded for the pod at that address if there is one.

        Without a credential nothing is recorded: clients ask first whether they need one.
        """
        reason = None
        if credential is not None:
            named = self.pods.get(credential.job_id)
            is_right = named is not None and named.accepts(credential.password)
            reason = EgressReason.CREDENTIAL_FOREIGN if is_right else EgressReason.CREDENTIAL_WRONG
            at_address = [pod for pod in self.pods.values() if pod.is_at(address)]
            if len(at_address) == 1:  # behind translated addresses it may be any of several
                enforcer = at_address[0].enforcer
                refused = Decision(Verdict.REFUSED, reason)
                enforcer.record_refusal(enforcer.contact(Way.CONNECT, None, NO_TARGET, refused))
        body = credential_page(reason).encode()
        head = (
            "HTTP/1.1 407 Proxy Authentication Required\r\n"
            'Proxy-Authenticate: Basic realm="danube"\r\n'
            f'Proxy-Status: danube; error=http_request_denied; details="{reason or "credential-missing"}"\r\n'
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


async def _serve(pod: AdmittedPod, client: PodConnection, protocol: h11.Connection, request: h11.Request) -> None:
    pod.open += 1
    try:
        if pod.open > MAX_CONNECTIONS:
            decision = Decision(Verdict.REFUSED, EgressReason.TOO_MANY_CONNECTIONS)
            contact = pod.enforcer.contact(Way.CONNECT, client.step, NO_TARGET, decision)
            await client.refuse(refusal(pod.enforcer.record_refusal(contact).contact))
        else:
            await serve_request(pod.enforcer, client, protocol, request)
    except (OSError, TimeoutError, h11.ProtocolError) as error:
        _log.debug("connection-lost", extra={"fields": {"job": pod.enforcer.job_id, "cause": str(error)}})
        reset_on_close(client.connection)
    finally:
        pod.open -= 1
        client.connection.close()
