"""The way from a pod's coordinator to the server: a socket for each pod, in a directory that only its coordinator's
container sees.

gRPC does not say who is at the other end of a unix socket, and bounds the connections of all coordinators together. So
one that opens a thousand would leave none for the others. Here the socket says which pod a connection is from, and a
pod has a few. Bytes are passed on as they are, over a connection that says whose pod it is from: the server refuses
the token of another job there.
"""

import asyncio
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory
from danube_pkg.core.runtimes.pod_addresses import job_address
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.named_peers import connected_as
from danube_pkg.kit.relays import PIECE_BYTES, Side, closing, relay
from danube_pkg.kit.tasks import TaskOwner, logged

SOCKET_NAME = "coordinator.sock"

CONNECTIONS_OF_A_POD = 16
"""A coordinator has one, and for a moment a second one where the first was lost. The others are for children of the
danubefile's process that were given its token."""

_log = EventLog("danube.sandbox")


class CoordinatorSockets:
    """Listens for coordinators. server: the directory with the socket of the coordinators' server."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._listening: dict[str, asyncio.Server] = {}
        self._open: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._tasks = TaskOwner(logged(_log.logger))

    async def open(self, pod: PodDirectory, job_id: str) -> None:
        """Listen in `pod.sockets`, from then on or already. Raises OSError."""
        if pod.pod_id in self._listening:
            return
        pod.sockets.mkdir(exist_ok=True)
        pod.sockets.chmod(0o755)
        listening = _bind(pod.sockets)
        accept = partial(self._accept, pod.pod_id, job_address(job_id))
        self._listening[pod.pod_id] = await asyncio.start_unix_server(accept, sock=listening, limit=PIECE_BYTES)

    def close_pod(self, pod_id: str) -> None:
        """Accept no more connections of a pod. Those that it has end with their process."""
        self._refused.discard(pod_id)
        listening = self._listening.pop(pod_id, None)
        if listening is not None:
            listening.close()

    async def close(self) -> None:
        """Close everything."""
        for pod_id in list(self._listening):
            self.close_pod(pod_id)
        await self._tasks.close()

    def _accept(self, pod_id: str, address: str, reader: StreamReader, writer: StreamWriter) -> None:
        if pod_id not in self._listening or self._open[pod_id] >= CONNECTIONS_OF_A_POD:
            writer.transport.abort()
            if pod_id in self._listening and pod_id not in self._refused:  # once, or a job would fill the log
                self._refused.add(pod_id)
                _log.warning("coordinator-connections-refused", pod=pod_id, limit=CONNECTIONS_OF_A_POD)
            return
        self._open[pod_id] += 1
        self._tasks.start(f"connection of pod {pod_id}", self._serve(pod_id, address, reader, writer))

    async def _serve(self, pod_id: str, address: str, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async with closing(writer), self._connected(address) as server:
                await relay((reader, writer), server, name=f"calls of pod {pod_id}")
        except OSError:  # the server does not listen yet, or any more: the coordinator tries again
            return
        finally:
            self._open[pod_id] -= 1
            if not self._open[pod_id]:
                del self._open[pod_id]

    @asynccontextmanager
    async def _connected(self, address: str) -> AsyncIterator[Side]:
        directory = os.open(self._server, os.O_PATH | os.O_DIRECTORY)  # a socket's path has at most 107 bytes
        try:
            async with connected_as(address, f"/proc/self/fd/{directory}/{SOCKET_NAME}") as server:
                yield server
        finally:
            os.close(directory)


def _bind(directory: Path) -> socket.socket:
    """A listening socket in place of what a server before this one has left."""
    (directory / SOCKET_NAME).unlink(missing_ok=True)
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(f"/proc/self/fd/{opened}/{SOCKET_NAME}")
    except OSError:
        listening.close()
        raise
    finally:
        os.close(opened)
    (directory / SOCKET_NAME).chmod(0o666)  # the directory is mounted into one container only
    return listening
