"""Exec over WebSocket: the channels of `v5.channel.k8s.io` and `v4.channel.k8s.io`.

Each frame begins with the number of its channel: 0 standard input, 1 output, 2 error output, 3 the status at the end,
255 (v5 only) closes the channel that follows. After the status the connection drops without a close frame, as on a
real server."""

import asyncio
import contextlib
import json
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from tests.fakes.kubernetes.api_errors import Json, bad_request, internal
from tests.fakes.kubernetes.faults import Faults
from tests.fakes.kubernetes.processes import ContainerProcess, exec_arguments, missing_program

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, CLOSE = 0, 1, 2, 3, 255
_READ_BYTES = 32 * 1024
_STDIN_BYTES = 64 * 1024**2
"""The largest frame that is accepted."""


class Execs:
    """Serves exec. The programs continue when a connection is dropped."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.served = 0
        """How many were opened so far."""
        self._open: set[asyncio.Transport] = set()
        self._reapers: set[asyncio.Task[int]] = set()

    @property
    def count(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def drop_all(self) -> None:
        """Cut every open connection."""
        for transport in self._open:
            transport.abort()

    async def close(self) -> None:
        """Returns when every program has ended; their containers were killed before."""
        if self._reapers:
            await asyncio.wait(set(self._reapers))

    async def serve(self, request: web.Request, container: ContainerProcess, argv: Sequence[str]) -> web.StreamResponse:
        """Run a program in a container, and carry its bytes. Raises ApiError 400 for a request without a WebSocket."""
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=_STDIN_BYTES, compress=False, autoclose=False)
        if not socket.can_prepare(request).ok:
            raise bad_request("you must specify at least one of the subprotocols of exec: unable to upgrade connection")
        await socket.prepare(request)
        transport = request.transport
        if transport is None:  # the client has disconnected already
            return socket
        self._open.add(transport)
        self.served += 1
        try:
            await self._run(socket, request, container, argv)
        finally:
            self._open.discard(transport)
            transport.close()  # what is buffered is sent first
        return socket

    async def _run(
        self, socket: web.WebSocketResponse, request: web.Request, container: ContainerProcess, argv: Sequence[str]
    ) -> None:
        if cause := missing_program(container, argv) if container.lives else "container not running":
            await socket.send_bytes(bytes([STATUS]) + json.dumps(_start_failure(cause)).encode())
            return
        takes = {name: request.query.get(name) in ("true", "1") for name in ("stdin", "stdout", "stderr")}
        process = await asyncio.create_subprocess_exec(
            *exec_arguments(container, argv),
            stdin=_pipe(takes["stdin"]), stdout=_pipe(takes["stdout"]), stderr=_pipe(takes["stderr"]),
            env=container.plan.full_environment(), cwd="/", limit=_READ_BYTES,
        )  # fmt: skip
        reaper = asyncio.create_task(process.wait(), name="exec-reaper")
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)
        v5 = socket.ws_protocol == PROTOCOLS[0]
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(_take_input(socket, process, v5), name="exec-input")
            outputs = [(STDOUT, process.stdout), (STDERR, process.stderr)]
            sending = [
                group.create_task(self._send(socket, request, channel, pipe), name="exec-output")
                for channel, pipe in outputs
                if pipe is not None
            ]
            await asyncio.wait(sending) if sending else None
            code = await asyncio.shield(reaper)
            taking.cancel()
        if not self._faults.exec_hangs:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await socket.send_bytes(bytes([STATUS]) + json.dumps(exit_status(code)).encode())

    async def _send(
        self, socket: web.WebSocketResponse, request: web.Request, channel: int, pipe: asyncio.StreamReader
    ) -> None:
        """Carry a stream of the program until its end. Awaits the client, so that a slow one slows the program.

        Without a client it is read on, as a node does: asyncio reports the end of a process only after the end of its
        pipes, which is not seen while something is left in them.
        """
        sent, is_connected = 0, True
        while data := await pipe.read(_READ_BYTES):
            if self._faults.exec_hangs or not is_connected:
                continue
            left = self._faults.exec_drops_after - sent if self._faults.exec_drops_after >= 0 else len(data)
            sent += len(data)
            try:
                await socket.send_bytes(bytes([channel]) + data[:left])
            except (ConnectionError, aiohttp.ClientError):
                is_connected = False
            if left < len(data) and request.transport is not None:
                request.transport.close()
                is_connected = False


def _pipe(wanted: bool) -> int:
    return asyncio.subprocess.PIPE if wanted else asyncio.subprocess.DEVNULL


async def _take_input(socket: web.WebSocketResponse, process: asyncio.subprocess.Process, v5: bool) -> None:
    """Pass frames on to the program until the client closes its input or disconnects."""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data or process.stdin is None:
            continue
        if v5 and message.data[0] == CLOSE:
            if message.data[1:2] == bytes([STDIN]):
                process.stdin.close()
            continue
        if message.data[0] == STDIN and not process.stdin.is_closing():
            process.stdin.write(message.data[1:])
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
    if process.stdin is not None:
        process.stdin.close()


def exit_status(code: int) -> Json:
    """The status of a program that ended. code: as asyncio has it, negative for a signal."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    shown = 128 - code if code < 0 else code
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {shown}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(shown)}]},
    }


def _start_failure(cause: str) -> Json:
    sentence = (
        "error executing command in container: failed to exec in container: failed to start exec"
        f' "0": OCI runtime exec failed: exec failed: unable to start container process: {cause}'
    )
    return internal(sentence).status
