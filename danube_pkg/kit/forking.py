"""Starts processes of one Python program by a fork server (`kit/fork_server.py`), which imports the program once."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, NamedTuple, Self

from danube_pkg.kit.stopped import POLL_SECONDS, end_stopped

LAUNCH_SECONDS = 60.0
"""For one process: a fork takes milliseconds, but the fork server imports first, maybe on an overloaded machine. One
that takes longer is replaced."""

MAX_NUMBER_BYTES = 16
"""A process id, or an exit code."""


class ForkedProcess:
    """A process with pipes, as `asyncio.subprocess.Process` has them."""

    def __init__(
        self,
        pid: int,
        end: socket.socket,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
        reading: Sequence[asyncio.ReadTransport],
        server_pid: int,
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._end = end
        self._reading = reading
        self._server_pid = server_pid
        self._code: int | None = None

    async def wait(self) -> int:
        """Its exit code, negative for a signal, once it has ended. If the fork server was ended, that of SIGKILL: its
        processes die with it, and one that is stopped is ended."""
        if self._code is None:
            loop = asyncio.get_running_loop()
            reading = loop.create_task(loop.sock_recv(self._end, MAX_NUMBER_BYTES), name=f"end of process {self.pid}")
            try:
                while not (await asyncio.wait({reading}, timeout=POLL_SECONDS))[0]:
                    end_stopped(self._server_pid, "fork server")
            finally:
                reading.cancel()
            answer = reading.result()
            self._code = int(answer) if answer else -signal.SIGKILL
            self._end.close()
        return self._code

    def kill(self) -> None:
        """Close its pipes, and end it with SIGKILL if it still runs."""
        self.stdin.close()
        for one in self._reading:
            one.close()
        if self._code is None:
            with contextlib.suppress(OSError):  # the fork server has gone
                self._end.shutdown(socket.SHUT_WR)


class ForkServer:
    """The processes of a module with `main() -> int`. The fork server starts with the first of them, and again if it
    was ended.

    environment: of the fork server itself, which finds the module by it.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self._module = module
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._sending = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the fork server and its processes."""
        with self._sending:
            if self._requests is not None:
                self._requests.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self._requests = self._process = None

    async def start(self, environment: Mapping[str, str], limit_bytes: int) -> ForkedProcess:
        """Start a process with this environment only. limit_bytes: what is read ahead of each of its pipes.

        Raises OSError. If it is cancelled, the process loses its pipes and its socket, and is ended.
        """
        started = await asyncio.to_thread(self._start, environment)
        return await _connected(started, limit_bytes, self._process.pid if self._process is not None else started.pid)

    def launch(self, environment: Mapping[str, str], standard: Sequence[int]) -> tuple[int, socket.socket]:
        """Start a process with these descriptors as its standard input, output and error, which stay the caller's.

        Returns its process id, and the socket that gets its exit code. Blocks. Raises OSError.
        """
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here.settimeout(POLL_SECONDS)
        with there:
            request = json.dumps({"environment": dict(environment)}).encode()
            with self._sending:
                socket.send_fds(self._connection(), [request], [*standard, there.fileno()])
                process = self._process
        pid = self._process_id(here, process)
        if not pid:
            raise BrokenPipeError("the fork server has ended")
        return int(pid), here

    def _process_id(self, here: socket.socket, process: "subprocess.Popen[bytes] | None") -> bytes:
        """The answer. A fork server that is stopped, or does not answer in LAUNCH_SECONDS, is ended: the next request
        starts another one. Raises TimeoutError."""
        began = time.monotonic()
        while True:
            try:
                return here.recv(MAX_NUMBER_BYTES)
            except TimeoutError:
                is_late = time.monotonic() - began >= LAUNCH_SECONDS
                if process is not None and (end_stopped(process.pid, "fork server") or is_late):
                    process.kill()
                    process.wait()
                    raise

    def _start(self, environment: Mapping[str, str]) -> "_Started":
        (input_there, input_here), (output_here, output_there), (error_here, error_there) = (
            os.pipe() for _ in range(3)
        )
        # As objects they are closed whatever happens, also if the waiting task is cancelled.
        pipes = os.fdopen(input_here, "wb", 0), os.fdopen(output_here, "rb", 0), os.fdopen(error_here, "rb", 0)
        theirs = (input_there, output_there, error_there)
        try:
            return _Started(*self.launch(environment, theirs), *pipes)
        finally:
            for one in theirs:
                os.close(one)

    def _connection(self) -> socket.socket:
        """The socket to a fork server that runs."""
        if self._requests is not None and self._process is not None and self._process.poll() is None:
            return self._requests
        if self._requests is not None:
            self._requests.close()
        self._requests, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.settimeout(LAUNCH_SECONDS)
        with there:
            self._process = subprocess.Popen(
                # -P: modules of the working directory are never imported.
                [sys.executable, "-P", "-m", "danube_pkg.kit.fork_server", self._module],
                stdin=there.fileno(),
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        return self._requests


class _Started(NamedTuple):
    pid: int
    end: socket.socket
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]


async def _connected(started: _Started, limit_bytes: int, server_pid: int) -> ForkedProcess:
    loop = asyncio.get_running_loop()
    started.end.setblocking(False)
    writing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, started.stdin)
    stdin = asyncio.StreamWriter(writing, protocol, None, loop)
    stdout, reading_output = await _reader(started.stdout, limit_bytes)
    stderr, reading_error = await _reader(started.stderr, limit_bytes)
    reading = (reading_output, reading_error)
    return ForkedProcess(started.pid, started.end, stdin, stdout, stderr, reading, server_pid)


async def _reader(pipe: IO[bytes], limit_bytes: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit_bytes)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    return reader, transport
