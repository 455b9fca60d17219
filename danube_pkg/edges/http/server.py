"""Listening: TCP for everybody, a unix socket for the owner of the data directory."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg.core.access import ANONYMOUS, LOCAL_ADMINISTRATOR, Actor
from danube_pkg.core.errors import Permanent
from danube_pkg.edges.http.connection import Connection
from danube_pkg.edges.http.routes import Router
from danube_pkg.edges.http.services import Services

MAX_CONNECTIONS = 20_000
"""Idle ones cost a few KB each; beyond it the listener waits."""

_UCRED = struct.Struct("3i")


class HttpEdge:
    """Serves while its context is open."""

    def __init__(self, services: Services) -> None:
        self._router = Router(services)
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, socket_path: Path, bind_address: str) -> AsyncIterator[str]:
        """Yields the TCP address that it listens on: `http://HOST:PORT`."""
        async with self._unix(socket_path), self._tcp(bind_address) as address:
            try:
                yield address
            finally:
                for task in self._connections:
                    task.cancel()
                if self._connections:
                    await asyncio.wait(self._connections)

    @asynccontextmanager
    async def _unix(self, path: Path) -> AsyncIterator[None]:
        """Owner only, by mode and by the peer's credentials. The path may be longer than an address can be."""
        place = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            old_mask = os.umask(0o177)
            try:
                listening.bind(f"/proc/self/fd/{place}/{path.name}")
            finally:
                os.umask(old_mask)
            server = await asyncio.start_unix_server(self._accept_local, sock=listening, backlog=1024)
        finally:
            os.close(place)
        async with _closing(server):
            yield
        path.unlink(missing_ok=True)

    @asynccontextmanager
    async def _tcp(self, bind_address: str) -> AsyncIterator[str]:
        host, _, port = bind_address.rpartition(":")
        try:
            server = await asyncio.start_server(self._accept_stranger, host.strip("[]"), int(port), backlog=1024)
        except OSError as error:
            raise Permanent(
                "address-in-use",
                f"cannot listen on {bind_address}",
                cause=str(error),
                hint='choose another one: [server] bind_address = "127.0.0.1:0" takes any free port',
            ) from error
        bound = server.sockets[0].getsockname()
        async with _closing(server):
            yield f"http://{host}:{bound[1]}"

    async def _accept_local(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _, user, _ = _UCRED.unpack(peer)
        if user not in (0, os.geteuid()):
            writer.close()
            return
        await self._serve(reader, writer, LOCAL_ADMINISTRATOR)

    async def _accept_stranger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(reader, writer, ANONYMOUS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, actor: Actor) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the server is stopping; the client sees the close
                await Connection(reader, writer, actor, self._router.handle).serve()
        finally:
            self._connections.discard(task)


@asynccontextmanager
async def _closing(server: asyncio.Server) -> AsyncIterator[None]:
    try:
        yield
    finally:
        server.close()
