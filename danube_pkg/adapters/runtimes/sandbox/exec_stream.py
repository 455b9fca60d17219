"""A program in a container, reached through the container's exec socket: three pipes and one answer of five bytes."""

import array
import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.core.errors import NotFound, Unavailable
from danube_pkg.core.runtimes.pods import Container
from danube_pkg.kit.readiness import wait_readable, wait_writable

READ_BYTES = 1024**2
_F_SETPIPE_SZ = 1031


def open_exec(container: Container, directory: Path, argv: Sequence[str]) -> "PipeStream":
    """Connect and hand over the program. The socket's path may be longer than an address can be: go through its directory."""
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY) if directory.is_dir() else -1
    if place < 0:
        raise _gone(container)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes: list[int] = []
    try:
        connection.setblocking(False)
        connection.connect(f"/proc/self/fd/{place}/exec.sock")
        pipes += os.pipe2(os.O_CLOEXEC) + os.pipe2(os.O_CLOEXEC)
        in_read, in_write, out_read, out_write = pipes
        with contextlib.suppress(OSError):  # beyond the user's pipe quota the default size does as well
            fcntl.fcntl(out_read, _F_SETPIPE_SZ, READ_BYTES)
        passed = array.array("i", [in_read, out_write, out_write])
        connection.sendmsg([b"\0".join(word.encode() for word in argv) + b"\0"], [_rights(passed)])
    except OSError as error:
        connection.close()
        for descriptor in pipes:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise Unavailable("exec-busy", "the container has too many programs at once", cause=str(error)) from error
        raise _gone(container) from error
    finally:
        os.close(place)
    os.close(in_read)
    os.close(out_write)
    return PipeStream(connection, in_write, out_read)


def _rights(descriptors: "array.array[int]") -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors.tobytes()


def _gone(container: Container) -> NotFound:
    return NotFound("container-gone", f"container {container.number} of pod {container.pod_id} has ended")


class PipeStream:
    """`ExecStream` over raw non-blocking pipes: big reads, no buffer of its own."""

    def __init__(self, connection: socket.socket, stdin: int, stdout: int) -> None:
        self._connection = connection
        self._stdin = stdin
        self._stdout = stdout
        os.set_blocking(stdin, False)
        os.set_blocking(stdout, False)

    async def read(self) -> bytes:
        while True:
            try:
                return os.read(self._stdout, READ_BYTES)
            except BlockingIOError:
                await wait_readable(self._stdout)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                await wait_writable(self._stdin)
            except BrokenPipeError as error:
                raise Unavailable("exec-closed", "the program does not read its input any more") from error

    async def close_input(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    async def wait(self) -> int:
        while True:
            try:
                answer = self._connection.recv(5)
                break
            except BlockingIOError:
                await wait_readable(self._connection.fileno())
            except OSError as error:
                raise Unavailable("exec-lost", "the container is gone", cause=str(error)) from error
        if len(answer) != 5:
            raise Unavailable("exec-lost", "the container ended before its program said how it ended")
        kind, value = struct.unpack("<cI", answer)
        return int(value) if kind == b"X" else 128 + int(value)

    async def close(self) -> None:
        await self.close_input()
        if self._stdout >= 0:
            os.close(self._stdout)
            self._stdout = -1
        self._connection.close()
