"""The pipes between a server and a program of a fake machine: `core.runtimes.ports.ExecStream` for the server,
callbacks for the program.
"""

import asyncio
from collections.abc import Callable

from danube_pkg.core.errors import Unavailable

PIPE_BYTES = 1024**2
"""How much a pipe holds before a write waits, in both directions."""


class Boundary:
    """Every call of a server to the fake machine passes it. A simulation delays calls, fails them and kills servers
    here; this one does nothing."""

    async def cross(self, what: str) -> None:
        """Called before and after each effect on the machine. May raise Unavailable."""

    def tear_after(self) -> int | None:
        """After how many bytes, in both directions together, a new connection breaks; None for never."""
        return None


class Connection:
    """A connection to one program: async methods for the server; `put`, `finish`, `lose`, callbacks for the program."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self._left = boundary.tear_after()
        self._output = bytearray()
        self._input_waits = False
        self._input_closed = False
        self._exit_code: int | None = None
        self._over = False
        self._reads_late_input = False
        self._closed = False
        self._changed = asyncio.Event()
        self.on_input: Callable[[bytes], None] = lambda data: None
        self.on_room: Callable[[], None] = lambda: None
        self.on_closed: Callable[[], None] = lambda: None

    # --- the server's side

    async def read(self) -> bytes:
        await self._boundary.cross("stream.read")
        while not self._output and not self._over:
            await self._wait_changed()
        data = bytes(self._output[:PIPE_BYTES])
        del self._output[: len(data)]
        allowed = self._allow(len(data))
        if allowed < len(data) or self._is_used_up:
            self._tear()
        elif data and not self._over:
            self.on_room()
        return data[:allowed]

    async def write(self, data: bytes) -> None:
        await self._boundary.cross("stream.write")
        while self._input_waits and not self._over:
            await self._wait_changed()
        if data and (self._closed or (self._over and not self._reads_late_input)):
            raise Unavailable("exec-closed", "the program no longer reads its input")
        allowed = self._allow(len(data))
        if allowed and not self._input_closed:
            self.on_input(data[:allowed])
        if data and (allowed < len(data) or self._is_used_up):
            self._tear()
            raise Unavailable("exec-lost", "the connection is broken")

    async def close_input(self) -> None:
        await self._boundary.cross("stream.close-input")
        self._end_input()

    async def wait(self) -> int:
        await self._boundary.cross("stream.wait")
        while self._exit_code is None and not self._over:
            await self._wait_changed()
        if self._exit_code is None:
            raise Unavailable("exec-lost", "the container ended before the program's exit was reported")
        return self._exit_code

    async def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        """The server closes the connection, or is killed; the program keeps running."""
        if not self._closed:
            self._closed = True
            self._output.clear()
            self._end_input()
            self.on_closed()

    def _allow(self, size: int) -> int:
        """How many of these bytes get through before the connection breaks."""
        if self._left is None:
            return size
        allowed = min(size, self._left)
        self._left -= allowed
        return allowed

    @property
    def _is_used_up(self) -> bool:
        return self._left == 0

    def _tear(self) -> None:
        self.lose()
        self._end_input()
        self.on_closed()

    def _end_input(self) -> None:
        if not self._input_closed:
            self._input_closed = True
            self.on_input(b"")

    async def _wait_changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # --- the program's side

    @property
    def room(self) -> int:
        return 0 if self._over else max(0, PIPE_BYTES - len(self._output))

    @property
    def is_read(self) -> bool:
        """Whether the server may still read output."""
        return not self._closed and not self._over

    def put(self, data: bytes) -> None:
        """Bytes on the program's standard output; dropped once the server does not read them any more."""
        if self.is_read:
            self._output += data
            self._changed.set()

    def hold_input(self, waits: bool) -> None:
        """Whether the program's input pipe is full."""
        self._input_waits = waits
        self._changed.set()

    def finish(self, code: int, *, reads_late_input: bool = False) -> None:
        """The program has exited; its output can still be read. reads_late_input: its supervisor still reads input."""
        if not self._over:
            self._exit_code = code
            self._over = True
            self._reads_late_input = reads_late_input
            self._changed.set()

    def stop_reading(self) -> None:
        """What the server writes from now on is refused."""
        self._reads_late_input = False

    def lose(self) -> None:
        """The connection is broken, or the container has ended: there is no exit code."""
        self._over = True
        self._reads_late_input = False
        self._changed.set()
