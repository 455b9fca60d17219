"""The program of a fork server: imports a Python program once, and answers each request with a process that runs it.

A start costs a fork in place of an interpreter and its imports. The other half is `kit/forking.py`, which starts it as
`python -m danube_pkg.kit.fork_server MODULE` with one end of a socket pair (SOCK_SEQPACKET) as standard input.

- A request is a JSON object `{"environment": {…}}` with four descriptors: the new process's standard input, output and
  error, and one end of a socket pair (SOCK_SEQPACKET) of its own. The process runs `MODULE.main()`, whose result is its
  exit code.
- Its socket gets its process id at once, and its exit code (negative for a signal) when it has ended. When the other
  end of the socket is shut down, the process is killed.
- When standard input ends, every process is killed and the fork server ends. If the fork server dies, so do they
  (PR_SET_PDEATHSIG of prctl(2)).

There is one thread, so forking is safe.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable

MAX_REQUEST_BYTES = 64 * 1024
"""The environment of a process. A longer request is cut off, and then refused by the parser."""

DESCRIPTORS = 4
"""A request brings standard input, output, error, and the process's socket."""

_PR_SET_PDEATHSIG = 1
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR

Program = Callable[[], int]


class _Server:
    def __init__(self, requests: socket.socket, program: Program) -> None:
        self._requests = requests
        self._program = program
        self._poll = select.poll()
        self._poll.register(requests, _READABLE)
        self._ends: dict[int, socket.socket] = {}
        """pidfd of a process → its socket."""
        self._owners: dict[int, int] = {}
        """Descriptor of a process's socket → its pidfd."""
        self._libc = ctypes.CDLL(None, use_errno=True)

    def serve(self) -> None:
        """Return when standard input has ended."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._ends:
                    self._ended(descriptor)
                elif descriptor in self._owners:
                    self._kill(descriptor)
                elif descriptor == self._requests.fileno() and not self._answer():
                    return

    def end(self) -> None:
        """Kill what still runs."""
        for pidfd in self._ends:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def _answer(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._requests, MAX_REQUEST_BYTES, DESCRIPTORS)
        if not message:
            return False
        server = os.getpid()
        child = os.fork()
        if child == 0:
            self._become(server, message, descriptors)
        for one in descriptors[:3]:
            os.close(one)
        pidfd = os.pidfd_open(child)
        end = socket.socket(fileno=descriptors[3])
        _report(end, child)
        self._ends[pidfd], self._owners[end.fileno()] = end, pidfd
        self._poll.register(pidfd, select.POLLIN)
        self._poll.register(end, _READABLE)
        return True

    def _become(self, server: int, message: bytes, descriptors: list[int]) -> None:
        """Run the program in the new process, which never returns from here."""
        code = 1
        try:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != server:
                os._exit(1)
            for number, one in enumerate(descriptors[:3]):
                os.dup2(one, number)
            os.closerange(3, max([3, *descriptors, *self._ends, *self._owners]) + 1)
            os.setsid()
            os.environ.clear()
            os.environ.update(json.loads(message)["environment"])
            code = self._program()
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _ended(self, pidfd: int) -> None:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        if found is None:
            return
        code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        end = self._ends.pop(pidfd)
        _report(end, code)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        if self._owners.pop(end.fileno(), None) is not None:
            self._poll.unregister(end)
        end.close()

    def _kill(self, descriptor: int) -> None:
        """The other end was shut down. `_ended` follows."""
        pidfd = self._owners.pop(descriptor)
        self._poll.unregister(descriptor)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _report(end: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # its owner has gone
        end.send(str(number).encode())


def main() -> int:
    """Serve until standard input ends."""
    requests = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    program: Program = importlib.import_module(sys.argv[1]).main
    gc.collect()
    gc.freeze()  # what is imported stays in shared pages
    server = _Server(requests, program)
    try:
        server.serve()
    finally:
        server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
