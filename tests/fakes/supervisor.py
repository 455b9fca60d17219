"""The fake of `danube-step`: the same requests, frames and records as `supervisor/protocol.h`, over scripted commands.

Like the real one it identifies steps by id, attempt and key, drops only acknowledged bytes from a ring, serves
followers from any offset in the ring, stops with TERM and then KILL, and writes a record with an authenticator. Its
limits are arguments, so that a test can make them small.
"""

import asyncio
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from danube_pkg.core.runtimes.supervisor import (
    HASH_BYTES,
    MAGIC,
    MAX_BODY_BYTES,
    PROTOCOL_VERSION,
)
from tests.fakes.connections import Connection
from tests.fakes.processes import Behaviour, Command, Process, ProcessContainer
from tests.fakes.requests import BadRequest, Request, parse_request

FRAME_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of each step. ring_bytes: output ahead of the acknowledgement. tail_bytes: kept after the step has ended.
    heartbeat_seconds: between two heartbeats while nothing is printed."""

    ring_bytes: int = 8 * 1024**2
    tail_bytes: int = 1024**2
    heartbeat_seconds: float = 2.0


class FakeStep:
    """One attempt of a step: its output, its followers, its end."""

    def __init__(self, request: Request, bounds: Bounds, on_output: Callable[["FakeStep", bytes], None]) -> None:
        self.request = request
        self.bounds = bounds
        self._on_output = on_output
        self.held_from = 0
        self.written = 0
        self.acknowledged = 0
        self.record = b""
        self.killed = False
        self.timed_out = False
        self.frozen = False
        self.freezes: list[bool] = []
        self.command: Command | None = None
        self.followers: list[Follower] = []
        self.timers: list[asyncio.TimerHandle] = []
        self.started_at = asyncio.get_running_loop().time()
        self.ended_at: float | None = None
        self._ring = bytearray()
        self._hash = blake2b(digest_size=HASH_BYTES)
        self._room = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Output of the command; waits while the ring is full of bytes that are not acknowledged."""
        while data:
            room = self.bounds.ring_bytes - (self.written - self.acknowledged)
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            part, data = data[:room], data[room:]
            self._ring += part
            self._on_output(self, part)
            self._hash.update(part)
            self.written += len(part)
            self._keep(self.bounds.ring_bytes)
            self.flush()

    def _keep(self, size: int) -> None:
        """Keep the last `size` bytes only, and disconnect followers that have not read the others."""
        if self.written - self.held_from > size:
            del self._ring[: self.written - size - self.held_from]
            self.held_from = self.written - size
        for follower in [one for one in self.followers if one.offset < self.held_from]:
            follower.end(2)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._ring[offset - self.held_from :][:size])

    def acknowledge(self, offset: int) -> None:
        self.acknowledged = max(self.acknowledged, min(offset, self.written))
        self._room.set()
        self.settle()

    def flush(self) -> None:
        for follower in list(self.followers):
            follower.flush()

    def settle(self) -> None:
        if self.record and self.acknowledged == self.written and not self.followers:
            self._keep(self.bounds.tail_bytes)

    def finish(self, exit_code: int | None, number: int | None) -> None:
        for timer in self.timers:
            timer.cancel()
        self.ended_at = asyncio.get_running_loop().time()
        wall_us = round((self.ended_at - self.started_at) * 1e6)
        self.record = encode_record(self, exit_code, number, wall_us, self._hash.digest())
        self.flush()
        self.settle()

    def stop_overdue(self) -> None:
        """The timeout is over; it does not run while the step is frozen."""
        if self.frozen:
            later = asyncio.get_running_loop().call_later
            self.timers.append(later(self.bounds.heartbeat_seconds, self.stop_overdue))
        else:
            self.stop(timed_out=True)

    def stop(self, *, timed_out: bool) -> None:
        """TERM now, KILL after the grace period."""
        if self.record or self.killed or self.timed_out or self.command is None:
            return
        self.killed, self.timed_out = not timed_out, timed_out
        self.command.send(signal.SIGTERM)
        later = asyncio.get_running_loop().call_later
        self.timers.append(later(self.request.grace_seconds, self.command.send, signal.SIGKILL))


def encode_record(step: FakeStep, exit_code: int | None, number: int | None, wall_us: int, digest: bytes) -> bytes:
    """The record and its authenticator under the step's key."""
    how = (4, struct.pack("<I", exit_code)) if number is None else (5, struct.pack("<I", number))
    fields = [
        (1, struct.pack("<I", PROTOCOL_VERSION)),
        (2, step.request.step_id.encode()),
        (3, struct.pack("<I", step.request.attempt)),
        how,
        (6, bytes([step.timed_out])),
        (7, bytes([step.killed])),
        (9, struct.pack("<Q", wall_us)),
        (10, struct.pack("<Q", 0)),
        (11, struct.pack("<Q", 0)),
        (12, struct.pack("<Q", 4 * 1024**2)),
        (13, struct.pack("<Q", step.written)),
        (14, digest),
        (15, struct.pack("<I", 0)),
    ]
    body = b"".join(struct.pack("<BI", tag, len(value)) + value for tag, value in fields)
    return body + blake2b(body, key=step.request.key, digest_size=HASH_BYTES).digest()


class Follower:
    """A connection: its request, then frames to it and acknowledgements from it."""

    def __init__(self, supervisor: "FakeSupervisor", connection: Connection, verb: str) -> None:
        self._supervisor = supervisor
        self._connection = connection
        self.verb = verb
        self._input = bytearray()
        self._step: FakeStep | None = None
        self._end_sent = False
        self._heartbeat: asyncio.TimerHandle | None = None
        self._over = False
        self._all_sent = False
        self.offset = 0
        connection.on_input = self._take
        connection.on_room = self.flush
        connection.on_closed = lambda: self.end(2)

    def _take(self, data: bytes) -> None:
        if self._over:
            return
        self._input += data
        if self._step is not None:
            self._take_acknowledgements()
            if self._all_sent and (not data or self._step.acknowledged >= self._step.written):
                self.end(0)
        elif not data:
            self._refuse("bad-request", "the request is incomplete")
        else:
            self._take_request()

    def _take_request(self) -> None:
        if len(self._input) < 8:
            return
        size = int.from_bytes(self._input[4:8], "little")
        if self._input[:4] != MAGIC or size > MAX_BODY_BYTES:
            self._refuse("bad-request", "the input is not a request")
            return
        end = 8 + size + HASH_BYTES
        if len(self._input) < end:
            return
        body, checksum = bytes(self._input[8 : 8 + size]), bytes(self._input[8 + size : end])
        del self._input[:end]
        if blake2b(body, digest_size=HASH_BYTES).digest() != checksum:
            self._refuse("bad-checksum", "the request's checksum is wrong")
            return
        try:
            request = parse_request(body)
        except BadRequest as error:
            self._refuse(str(error), "the request has a malformed field")
            return
        request.kill |= self.verb == "kill"
        self._supervisor.accept(self, request)

    def _take_acknowledgements(self) -> None:
        while len(self._input) >= 9 and self._step is not None:
            if self._input[:1] == b"A":
                self._step.acknowledge(int.from_bytes(self._input[1:9], "little"))
            del self._input[:9]

    def follow(self, step: FakeStep, offset: int, *, fresh: bool) -> None:
        if not step.held_from <= offset <= step.written:
            self._refuse("offset-gone", "the output at this offset is not available")
            return
        self._step, self.offset = step, offset
        step.followers.append(self)
        self._frame(b"S", struct.pack("<IQQIB", PROTOCOL_VERSION, step.held_from, step.written, 7, fresh))
        self._plan_heartbeat(step)
        self.flush()
        self._take_acknowledgements()

    def flush(self) -> None:
        step = self._step
        while not self._over and not self._all_sent and step is not None and self._connection.room > 0:
            if self.offset < step.written:
                data = step.read(self.offset, min(FRAME_BYTES, self._connection.room))
                self._frame(b"D", struct.pack("<Q", self.offset) + data)
                self.offset += len(data)
                self._plan_heartbeat(step)
            elif step.record:
                self._frame(b"E", step.record)
                self._finish(step)
            else:
                return

    def _frame(self, kind: bytes, payload: bytes) -> None:
        self._connection.put(kind + struct.pack("<I", len(payload)) + payload)

    def _refuse(self, code: str, message: str) -> None:
        self._frame(b"R", code.encode() + b"\0" + message.encode())
        self.end(1)

    def refuse(self, code: str, message: str) -> None:
        self._refuse(code, message)

    def _plan_heartbeat(self, step: FakeStep) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self._heartbeat = asyncio.get_running_loop().call_later(step.bounds.heartbeat_seconds, self._beat, step)

    def _beat(self, step: FakeStep) -> None:
        if not self._over and not self._all_sent:
            self._frame(b"H", struct.pack("<Q", step.written))
            self._plan_heartbeat(step)

    def _finish(self, step: FakeStep) -> None:
        """Everything was sent; the last acknowledgements are still read."""
        self._all_sent = True
        if step.acknowledged >= step.written:
            self.end(0)
        else:
            self._connection.finish(0, reads_late_input=True)

    def end(self, code: int) -> None:
        """code: 0 the record was sent; 1 refused; 2 the reader disconnected or fell behind the ring."""
        if self._over:
            return
        self._over = True
        self._connection.stop_reading()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self._connection.finish(code)
        if self._step is not None:
            self._step.followers.remove(self)
            self._step.settle()


class FakeSupervisor:
    """PID 1 of a fake container."""

    def __init__(
        self,
        container: ProcessContainer,
        bounds: Bounds,
        find: Callable[[str], Behaviour],
        on_start: Callable[[FakeStep], None],
        on_output: Callable[[FakeStep, bytes], None],
        on_defect: Callable[[BaseException], None],
    ) -> None:
        self._container = container
        self._bounds = bounds
        self._find = find
        self._on_start = on_start
        self._on_output = on_output
        self._on_defect = on_defect
        self.steps: dict[tuple[str, int], FakeStep] = {}

    def connect(self, connection: Connection, verb: str) -> None:
        """A `danube-step run`, `kill`, `freeze` or `thaw` has started."""
        Follower(self, connection, verb)

    def accept(self, follower: Follower, request: Request) -> None:
        step = self.steps.get((request.step_id, request.attempt))
        fresh = False
        if step is not None and step.request.key != request.key:
            follower.refuse("wrong-key", "the step belongs to another key")
            return
        if step is None:
            if request.command is None or request.kill or follower.verb != "run":
                follower.refuse("unknown-step", "the step is unknown and the request has no command to start")
                return
            step, fresh = self._start(request), True
        if request.kill:
            step.stop(timed_out=False)
        if follower.verb in ("freeze", "thaw"):
            step.frozen = follower.verb == "freeze"
            step.freezes.append(step.frozen)
        only_follows = request.kill or follower.verb != "run"
        follower.follow(step, step.written if only_follows else request.from_offset, fresh=fresh)

    def _start(self, request: Request) -> FakeStep:
        step = self.steps[request.step_id, request.attempt] = FakeStep(request, self._bounds, self._on_output)
        self._on_start(step)
        process = Process(
            command=request.command or "",
            attempt=request.attempt,
            environment=request.environment,
            container=self._container,
            write=step.write,
            read=_no_input,
        )
        behaviour = self._find(process.command)
        step.command = Command(behaviour, process, step.finish, self._on_defect)
        if request.timeout_seconds:
            loop = asyncio.get_running_loop()
            step.timers.append(loop.call_later(request.timeout_seconds, step.stop_overdue))
        return step

    def drop(self) -> None:
        """The container has ended."""
        for step in self.steps.values():
            for timer in step.timers:
                timer.cancel()
            if step.command is not None:
                step.command.drop()


async def _no_input() -> bytes:
    return b""
