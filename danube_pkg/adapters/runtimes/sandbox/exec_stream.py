"""Runs a program in a container through its exec socket: two pipes, and five bytes that say how it ended."""

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
    """Start the program. directory: the container's. Raises NotFound `container-gone`, Unavailable.

    The socket's path may be longer than a socket address, so it is reached through its directory's descriptor.
    """
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY) if directory.is_dir() else -1
    if opened < 0:
        raise _gone(container)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes: list[int] = []
    try:
        connection.setblocking(False)
        connection.connect(f"/proc/self/fd/{opened}/exec.sock")
        pipes += os.pipe2(os.O_CLOEXEC) + os.pipe2(os.O_CLOEXEC)
        in_read, in_write, out_read, out_write = pipes
        with contextlib.suppress(OSError):  # beyond the user's pipe quota the default size must do
            fcntl.fcntl(out_read, _F_SETPIPE_SZ, READ_BYTES)
        passed = array.array("i", [in_read, out_write, out_write])
        connection.sendmsg([b"\0".join(word.encode() for word in argv) + b"\0"], [_rights(passed)])
    except OSError as error:
        connection.close()
        for descriptor in pipes:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise Unavailable(
                "exec-busy", "too many programs are being started in the container at once", cause=str(error)
            ) from error
        raise _gone(container) from error
    finally:
        os.close(opened)
    os.close(in_read)
    os.close(out_write)
    return PipeStream(connection, in_write, out_read)


def _rights(descriptors: "array.array[int]") -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors.tobytes()


def _gone(container: Container) -> NotFound:
    return NotFound("container-gone", f"container {container.number} of pod {container.pod_id} has ended")


class PipeStream:
    """`ExecStream` over non-blocking pipes: large reads, no buffer of its own."""

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
                raise Unavailable("exec-closed", "the program no longer reads its input") from error

    async def close_input(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    async def wait(self) -> int:
        while True:
            try:
                ending = self._connection.recv(5)
                break
            except BlockingIOError:
                await wait_readable(self._connection.fileno())
            except OSError as error:
                raise Unavailable("exec-lost", "the container has ended", cause=str(error)) from error
        if len(ending) != 5:
            raise Unavailable("exec-lost", "the container ended before the program's exit was reported")
        kind, value = struct.unpack("<cI", ending)
        return int(value) if kind == b"X" else 128 + int(value)

    async def close(self) -> None:
        await self.close_input()
        if self._stdout >= 0:
            os.close(self._stdout)
            self._stdout = -1
        self._connection.close()
