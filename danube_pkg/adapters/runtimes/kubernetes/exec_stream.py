"""Runs a program in a container over a WebSocket: subprotocol v5.channel.k8s.io, and v4 of servers before 1.30.

The first byte of each message is its channel: 0 input, 1 output, 2 errors, 3 the end as an object `Status`; with v5 the
channel 255 closes the one that follows (KEP-4006, https://git.k8s.io/enhancements/keps/sig-api-machinery/4006).
Nothing here decides how a step ended: that is the supervisor's record alone.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp

from danube_pkg.adapters.runtimes.kubernetes.access import ClusterAccess
from danube_pkg.adapters.runtimes.kubernetes.names import SUPERVISOR_PATH
from danube_pkg.core.errors import Defect, Unavailable
from danube_pkg.core.runtimes.pods import SUPERVISOR

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"

INPUT, OUTPUT, ERRORS, END, CLOSE = 0, 1, 2, 3, 255

OPEN_SECONDS = 30.0
"""For the handshake, in which the server asks the kubelet, and that the node's runtime."""

CLOSE_SECONDS = 0.5
"""For the other side to confirm; the connection is then dropped."""

PING_SECONDS = 30.0
"""A connection whose other side has vanished is noticed; the supervisor's heartbeats notice it earlier."""

PIECE_BYTES = 32 * 1024
"""The input in one message, as other clients send it."""

MAX_MESSAGE_BYTES = 4 * 1024**2
MAX_UNREAD_BYTES = 32 * 1024**2
"""Output that a call of `wait` has met before it was read."""

NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 137

KILL_REPORT_SECONDS = 5.0
"""For the node to report that a container has ended, when a program in it has ended by SIGKILL: mostly that is what
happens to both together. It takes about a second."""

HasEnded = Callable[[float], Awaitable[bool]]
"""Whether the container is known to have ended, within so many seconds."""


class HandshakeRefused(Exception):
    """The server has not accepted the exec. status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def open_exec(
    access: ClusterAccess, path: str, container: str, argv: Sequence[str], has_ended: HasEnded
) -> "WebSocketStream":
    """path: of the pod's subresource `exec`. Raises HandshakeRefused, Unavailable."""
    is_supervisor = argv[0] == SUPERVISOR
    words = [SUPERVISOR_PATH, *argv[1:]] if is_supervisor else list(argv)
    query = [("container", container), *(("command", word) for word in words), ("stdin", "true"), ("stdout", "true")]
    if not is_supervisor:  # its frames must not be mixed with anything
        query.append(("stderr", "true"))
    session, server = await access.open()
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            socket = await session.ws_connect(
                server + path,
                params=query,
                protocols=(V5, V4),
                headers=await access.headers(),
                heartbeat=PING_SECONDS,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                server_hostname=access.server_name,
            )
    except aiohttp.WSServerHandshakeError as error:
        raise HandshakeRefused(error.status, error.message) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause = str(error) or type(error).__name__
        raise Unavailable(
            "cluster-unreachable", "no exec could be opened", cause=cause, hint="kubectl cluster-info"
        ) from error
    return WebSocketStream(socket, has_ended)


class WebSocketStream:
    """`core.runtimes.ports.ExecStream`. It has no buffer of its own while it is read: what is not read stays in the
    connection, which then takes no more from the program."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, has_ended: HasEnded) -> None:
        self._socket = socket
        self._has_ended = has_ended
        self._receiving = asyncio.Lock()
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._status: Mapping[str, Any] | None = None
        self._is_over = False

    async def read(self) -> bytes:
        while not self._unread and not self._is_over:
            await self._receive()
        if not self._unread:
            return b""
        data = self._unread.popleft()
        self._unread_bytes -= len(data)
        return data

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for begin in range(0, len(view), PIECE_BYTES):
            await self._send(bytes([INPUT]) + view[begin : begin + PIECE_BYTES])

    async def close_input(self) -> None:
        """With v4 the input cannot be closed alone: a program that reads to its end waits for the connection's."""
        if self._socket.protocol == V5:
            with contextlib.suppress(Unavailable):  # it has ended
                await self._send(bytes([CLOSE, INPUT]))

    async def _send(self, message: bytes) -> None:
        if self._is_over or self._socket.closed:
            raise Unavailable("exec-closed", "the program no longer reads its input")
        try:
            await self._socket.send_bytes(message)
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
            raise Unavailable("exec-closed", "the program no longer reads its input", cause=str(error)) from error

    async def wait(self) -> int:
        while not self._is_over:
            if self._unread_bytes > MAX_UNREAD_BYTES:
                raise Defect("exec-unread", "an exec is waited for while its output is not read")
            await self._receive()
        if self._status is None:
            raise Unavailable("exec-lost", "the connection ended before the program's exit was reported")
        code = exit_code(self._status)
        if code is None:
            said = str(self._status.get("message", ""))
            raise Unavailable("exec-lost", "the program's exit is not known", cause=said)
        if code and await self._has_ended(KILL_REPORT_SECONDS if code == KILLED else 0.0):
            raise Unavailable("exec-lost", "the container has ended")
        return code

    async def close(self) -> None:
        """Bounded as a whole: a program that prints on keeps the other side from closing."""
        self._is_over = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close()

    async def _receive(self) -> None:
        """Take one message."""
        async with self._receiving:
            if self._is_over:
                return
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY or message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data.encode() if isinstance(message.data, str) else message.data)
            else:
                self._is_over = True

    def _take(self, message: bytes) -> None:
        if len(message) < 2 or message[0] == CLOSE:  # each channel begins with an empty message
            return
        match message[0]:
            case 1 | 2:
                self._unread.append(message[1:])
                self._unread_bytes += len(message) - 1
            case 3:
                self._is_over = True
                try:
                    self._status = json.loads(message[1:])
                except ValueError as error:
                    raise Unavailable("exec-lost", "the program's exit is not readable", cause=str(error)) from error


def exit_code(status: Mapping[str, Any]) -> int | None:
    """The exit code in an object `Status`; None where the program has none, because something else failed."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdecimal():
            return int(cause["message"])
    said = str(status.get("message", ""))
    if "no such file or directory" in said or "executable file not found" in said:
        return NOT_FOUND
    return NOT_EXECUTABLE if "permission denied" in said else None
