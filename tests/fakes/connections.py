"""The pipes between a server and a program of a fake machine: `core.runtimes.ports.ExecStream` on one side, callbacks on the other."""

import asyncio
from collections.abc import Callable

from danube_pkg.core.errors import Unavailable

PIPE_BYTES = 1024**2
"""What a pipe holds before the one who writes has to wait; alike for both directions."""


class Boundary:
    """Where a server touches the fake world. This one lets everything through; a simulation waits, breaks and kills here."""

    async def cross(self, what: str) -> None:
        """Before and after whatever the server asks of the world. May raise Unavailable."""

    def tear_after(self) -> int | None:
        """So many bytes go through a new connection, both ways together, before it is torn. None: all."""
        return None


class Connection:
    """One program. The server's side is async; the program's side is `put`, `finish`, `lose` and the three callbacks."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self._left = boundary.tear_after()
        self._output = bytearray()
        self._input_waits = False
        self._input_closed = False
        self._exit_code: int | None = None
        self._over = False
        self._hears = False
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
        if data and (self._closed or (self._over and not self._hears)):
            raise Unavailable("exec-closed", "the program no longer reads its input")
        allowed = self._allow(len(data))
        if allowed and not self._input_closed:
            self.on_input(data[:allowed])
        if data and (allowed < len(data) or self._is_used_up):
            self._tear()
            raise Unavailable("exec-lost", "the connection is gone")

    async def close_input(self) -> None:
        await self._boundary.cross("stream.close-input")
        self._end_input()

    async def wait(self) -> int:
        await self._boundary.cross("stream.wait")
        while self._exit_code is None and not self._over:
            await self._wait_changed()
        if self._exit_code is None:
            raise Unavailable("exec-lost", "the container ended before its program said how it ended")
        return self._exit_code

    async def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        """The server lets go, or is gone itself; the program is not ended by it."""
        if not self._closed:
            self._closed = True
            self._output.clear()
            self._end_input()
            self.on_closed()

    def _allow(self, size: int) -> int:
        """How much of it gets through before the connection is torn."""
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
        """Somebody may still read what is put in."""
        return not self._closed and not self._over

    def put(self, data: bytes) -> None:
        """Bytes on the program's standard output; thrown away where nobody reads any more."""
        if self.is_read:
            self._output += data
            self._changed.set()

    def hold_input(self, waits: bool) -> None:
        """The program's input pipe is full, or has room again."""
        self._input_waits = waits
        self._changed.set()

    def finish(self, code: int, *, hears: bool = False) -> None:
        """The program has ended with this exit code; what it printed can still be read. `hears`: somebody still reads what
        is written to it."""
        if not self._over:
            self._exit_code = code
            self._over = True
            self._hears = hears
            self._changed.set()

    def deafen(self) -> None:
        """Nobody reads what is written to it any more."""
        self._hears = False

    def lose(self) -> None:
        """The connection, or the whole container, is gone: no exit code."""
        self._over = True
        self._hears = False
        self._changed.set()
