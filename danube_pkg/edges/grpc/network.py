"""The way of coordinators in a cluster to the server: TLS over TCP, passed on to the service's unix socket.

gRPC bounds the connections of all callers together, and any pod's program can reach the port. So each address has a
bound of its own, before the first byte is decrypted; a caller has nothing that the other callers would lack.

The service must know which address a call is from: each connection to its socket says so (`kit/named_peers.py`).
"""

import asyncio
import random
import socket
import ssl
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.connection import ServerCertificates
from danube_pkg.core.runtimes.pod_addresses import PodAddresses
from danube_pkg.kit.backoff import Backoff
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.listening import address_of, listening_socket
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.named_peers import connected_as
from danube_pkg.kit.records import Record
from danube_pkg.kit.relays import PIECE_BYTES, Side, closing, relay
from danube_pkg.kit.tasks import TaskOwner, logged

CONNECTIONS_OF_A_POD = 16
"""As in the sandbox: a coordinator has one, and for a moment a second one."""

CONNECTIONS_OF_AN_ADDRESS = 512
"""An address that is not known as a pod's may be a node's, behind which many pods are: 110 in most clusters."""

HANDSHAKE_SECONDS = 10.0
CERTIFICATE_SECONDS = 3600.0
"""Between two looks whether a certificate must be renewed: its renewal is due days before its end."""

RETRY_CAP_SECONDS = 5.0
"""The longest pause after an accept that failed for a lack of descriptors or memory."""

_log = EventLog("danube.grpc")


class NetworkListener(Record):
    """Where coordinators of a cluster connect to. address: `HOST:PORT`, port 0 for any free one."""

    address: str
    certificates: ServerCertificates
    pods: PodAddresses
    clock: Clock


class CoordinatorPort:
    """One listening socket. service: the gRPC service's unix socket, by a short path."""

    def __init__(self, listener: NetworkListener, service: str) -> None:
        self._listener = listener
        self._service = service
        self._open: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._context = _context()
        self._tasks = TaskOwner(logged(_log.logger))
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Accept connections until the block is left. Raises Permanent where the address cannot be used."""
        certificate = self._listener.certificates.renewed()
        self._context.load_cert_chain(certificate.path)
        with _listen(self._listener.address) as listening:
            self.address = address_of(listening)
            self._tasks.start("coordinator connections", self._accept(listening))
            self._tasks.start("coordinator certificate", self._keep_certificate(certificate.path))
            try:
                yield
            finally:
                await self._tasks.close()

    async def _keep_certificate(self, loaded: Path) -> None:
        """Load the certificate again once it was renewed. Connections that are open keep theirs."""
        while True:
            await self._listener.clock.sleep(CERTIFICATE_SECONDS)
            try:
                renewed = await asyncio.to_thread(self._listener.certificates.renewed)
                self._context.load_cert_chain(renewed.path)
            except (OSError, Permanent) as error:  # the one in use has days left
                _log.error("certificate-not-renewed", file=str(loaded), cause=str(error))

    async def _accept(self, listening: socket.socket) -> None:
        loop, backoff = asyncio.get_running_loop(), Backoff(0.1, RETRY_CAP_SECONDS, random.random)
        while True:
            try:
                connection, peer = await loop.sock_accept(listening)
            except OSError as error:
                _log.warning("coordinator-not-accepted", cause=str(error))
                await self._listener.clock.sleep(backoff.next())
                continue
            backoff.reset()
            self._start(connection, plain_address(peer[0]))

    def _start(self, connection: socket.socket, address: str) -> None:
        known = self._listener.pods.job_at(address) is not None
        limit = CONNECTIONS_OF_A_POD if known else CONNECTIONS_OF_AN_ADDRESS
        if self._open[address] >= limit:
            connection.close()
            if address not in self._refused:  # once, or a job would fill the log
                self._refused.add(address)
                _log.warning("coordinator-connections-refused", address=address, limit=limit)
            return
        self._open[address] += 1
        self._tasks.start(f"connection from {address}", self._serve(connection, address))

    async def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            async with self._encrypted(connection) as client, connected_as(address, self._service) as service:
                await relay(client, service, name=f"calls from {address}")
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError: no TLS, another authority, a port scan
            _log.debug("coordinator-connection-lost", address=address, cause=str(error))
        finally:
            connection.close()
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
                self._refused.discard(address)

    @asynccontextmanager
    async def _encrypted(self, connection: socket.socket) -> AsyncIterator[Side]:
        loop = asyncio.get_running_loop()
        reader = StreamReader(limit=PIECE_BYTES, loop=loop)
        protocol = StreamReaderProtocol(reader, loop=loop)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        writer = StreamWriter(transport, protocol, reader, loop)
        async with closing(writer):
            yield reader, writer


def plain_address(host: str) -> str:
    """An IPv4 address that a socket for both families shows as IPv6, in its own form."""
    return host.removeprefix("::ffff:")


def _listen(address: str) -> socket.socket:
    try:
        return listening_socket(address)
    except OSError as error:
        raise Permanent(
            "grpc-address-unusable",
            f"the server cannot listen for coordinators on {address}",
            cause=error.strerror or str(error),
            hint="change [server] grpc_address in danube.toml",
        ) from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])  # without it gRPC's clients refuse the connection
    return context
