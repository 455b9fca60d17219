"""Processes of a fork server for tests without an event loop: with any streams, and methods as `subprocess.Popen`."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from danube_pkg.kit.forking import MAX_NUMBER_BYTES, ForkServer

ROOT = Path(__file__).resolve().parents[2]


def fork_server(module: str) -> ForkServer:
    """One for a module of the tests. It starts with its first process and ends with this process."""
    return ForkServer(module, {**os.environ, "PYTHONPATH": f"{ROOT}/sdk:{ROOT}"})


class Forked:
    """A process that runs `main` of the server's module."""

    def __init__(
        self, server: ForkServer, environment: Mapping[str, str], stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]
    ) -> None:
        self.pid, self._end = server.launch(environment, (stdin.fileno(), stdout.fileno(), stderr.fileno()))
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, seconds: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            self._end.settimeout(seconds)
            try:
                self._code = int(self._end.recv(MAX_NUMBER_BYTES) or -signal.SIGKILL)
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired(str(self.pid), seconds or 0) from error
            self._end.close()
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
