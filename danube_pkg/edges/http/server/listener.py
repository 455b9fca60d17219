"""The listeners: TCP, with TLS if configured, and a unix socket for the owner of the data directory."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from danube_pkg.core.errors import Permanent
from danube_pkg.edges.http.server.connection import Connection
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Route
from danube_pkg.edges.http.server.router import Router
from danube_pkg.edges.http.server.tls import ReloadingCertificate
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.limits import raise_open_files
from danube_pkg.kit.loops import Streak, Timing, for_ever
from danube_pkg.kit.tasks import TaskOwner, logged

MAX_CONNECTIONS = 20_000
"""An idle connection costs 2 KB. Above the limit a new one is closed at once."""

SWEEP_SECONDS = 1.0
"""How often deadlines of connections are checked; they are 2 s or more."""

STOP_SECONDS = 5.0
"""How long a stop waits for requests that change something; on a machine that is not overloaded none needs a tenth."""

REPORT_SECONDS = 2.0
"""After so long the log names the requests that a stop waits for."""

REPORTED_REQUESTS = 10
"""Most requests in one line of the log."""

BACKLOG = 1024

_UCRED = struct.Struct("3i")

_log = logging.getLogger("danube.http")


class HttpServer:
    """Serves HTTP while the context `serving` is open."""

    def __init__(self, services: Services, routes: Sequence[Route], patterns: Mapping[str, str]) -> None:
        self.router = Router(services, routes, patterns)
        self.tasks = TaskOwner(logged(_log))
        self.stopping = False
        self._connections: set[Connection] = set()
        self._closed = asyncio.Event()

    @asynccontextmanager
    async def serving(
        self,
        socket_path: Path | None,
        bind_address: str,
        certificate: tuple[Path, Path] | None = None,
        listening: socket.socket | None = None,
        admin: socket.socket | None = None,
    ) -> AsyncIterator[str]:
        """Yields the TCP address that it listens on: `http://HOST:PORT`. certificate: the PEM files of certificate
        and key. listening: a socket that listens already, in the place of a new one at `bind_address`; admin: the same
        for the one at `socket_path`, whose file belongs to the process that made it."""
        raise_open_files()
        async with contextlib.AsyncExitStack() as stack:
            timing = Timing(SystemClock())  # deadlines are real seconds, also under a test's clock
            sweeping = for_ever(self._sweep, Streak("http-sweep", timing, log=_log), timing, pause_first=SWEEP_SECONDS)
            sweep = self.tasks.start("http-sweep", sweeping)
            stack.push_async_callback(self._stop)
            await stack.enter_async_context(self.router.running())
            if admin is not None:
                await stack.enter_async_context(self._inherited(admin))
            elif socket_path is not None:
                await stack.enter_async_context(self._unix(socket_path))
            tls = ReloadingCertificate(*certificate) if certificate else None
            yield await stack.enter_async_context(self._tcp(bind_address, tls, listening))
            self.stopping = True
            sweep.cancel()

    @asynccontextmanager
    async def _unix(self, path: Path) -> AsyncIterator[None]:
        """Only for the owner, by mode and by the peer's credentials. The path may exceed the 107 bytes of a socket
        address."""
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            old_mask = os.umask(0o177)
            try:
                listening.bind(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.umask(old_mask)
            server = await asyncio.get_running_loop().create_unix_server(
                partial(Connection, self, local=True), sock=listening, backlog=BACKLOG
            )
        finally:
            os.close(directory)
        async with _closing(server):
            yield
        path.unlink(missing_ok=True)

    @asynccontextmanager
    async def _inherited(self, listening: socket.socket) -> AsyncIterator[None]:
        """The same on a unix socket of systemd. asyncio removes the file of a socket that it closes since Python 3.13
        (`cleanup_socket`), which would close the address for clients that wait for the next server."""
        kept: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        listening.setblocking(False)
        server = await asyncio.get_running_loop().create_unix_server(
            partial(Connection, self, local=True), sock=listening, backlog=BACKLOG, **kept
        )
        async with _closing(server):
            yield

    @asynccontextmanager
    async def _tcp(
        self, bind_address: str, tls: ReloadingCertificate | None, listening: socket.socket | None
    ) -> AsyncIterator[str]:
        host, _, port = bind_address.rpartition(":")
        where: dict[str, Any] = {"host": host.strip("[]") or None, "port": int(port)}
        try:
            server = await asyncio.get_running_loop().create_server(
                partial(Connection, self, local=False),
                **({"sock": listening} if listening is not None else where),
                backlog=BACKLOG,
                ssl=tls.context if tls else None,
                ssl_handshake_timeout=10 if tls else None,
                ssl_shutdown_timeout=5 if tls else None,
            )
        except OSError as error:
            raise Permanent(
                "address-in-use",
                f"cannot listen on {bind_address}",
                cause=str(error),
                hint='choose another address: [server] bind_address = "127.0.0.1:0" takes any free port',
            ) from error
        bound = server.sockets[0].getsockname()
        async with _closing(server):
            yield f"{'https' if tls else 'http'}://{host or 'localhost'}:{bound[1]}"

    # --- called by connections

    def opened(self, connection: Connection) -> bool:
        """Whether the connection is accepted."""
        if connection.local and not _is_owner(connection):
            return False
        if self.stopping or len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._closed.set()

    async def handle(self, request: Request) -> Response:
        return await self.router.respond(request)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    # --- deadlines and stopping

    async def _sweep(self) -> float:
        """Ends connections that have passed their deadline; returns the seconds until the next round."""
        now = time.monotonic()
        for connection in list(self._connections):
            connection.sweep(now)
        return SWEEP_SECONDS

    async def _stop(self) -> None:
        """Ends idle connections and streams at once, and aborts the others if they are not done after STOP_SECONDS."""
        self.stopping = True
        for connection in list(self._connections):
            connection.stop()
        if not await self._all_closed(REPORT_SECONDS):
            self._report("http-stop-waits")
            if not await self._all_closed(STOP_SECONDS - REPORT_SECONDS):
                self._report("http-requests-aborted")
        for connection in list(self._connections):
            connection.abort()
        await self.tasks.close()

    async def _all_closed(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._connections:
                    self._closed.clear()
                    await self._closed.wait()
        return not self._connections

    def _report(self, event: str) -> None:
        """Names the requests that are being served."""
        requests = sorted(filter(None, (connection.serving for connection in self._connections)))
        fields = {"connections": len(self._connections), "requests": requests[:REPORTED_REQUESTS]}
        _log.warning(event, extra={"fields": fields})


def _is_owner(connection: Connection) -> bool:
    peer = connection.socket().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, user, _ = _UCRED.unpack(peer)
    return user in (0, os.geteuid())


@asynccontextmanager
async def _closing(server: asyncio.Server) -> AsyncIterator[None]:
    try:
        yield
    finally:
        server.close()
