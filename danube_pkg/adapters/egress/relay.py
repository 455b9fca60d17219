"""Two sockets joined: what comes in on one goes out on the other, both ways, each way to its own end.

The kernel moves the bytes (splice through a pipe), so that they are never in this process, and a side that does not read
makes the other wait. The end of one direction is passed on as such (half-close); the other goes on.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

from danube_pkg.kit.readiness import wait_readable, wait_writable
from danube_pkg.kit.tasks import end_all

SPLICE_BYTES = 64 * 1024
"""What a pipe holds without asking for more; larger ones measured no faster, and a user may have few of them."""

IDLE_SECONDS = 900.0
"""Without a byte in either direction. A quarter of an hour: what a server may think about a large push."""

_SPLICE = getattr(os, "SPLICE_F_MOVE", 1) | getattr(os, "SPLICE_F_NONBLOCK", 2)


class Traffic:
    """Bytes each way, as seen from the pod."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0

    def sent(self, size: int) -> None:
        self.sent_bytes += size

    def received(self, size: int) -> None:
        self.received_bytes += size

    @property
    def total_bytes(self) -> int:
        return self.sent_bytes + self.received_bytes


async def relay_one_way(source: socket.socket, sink: socket.socket, count: Callable[[int], None]) -> None:
    """Everything from one socket to the other, then its end. Raises OSError when either is broken."""
    source_end, sink_end = source.fileno(), sink.fileno()
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        while True:
            try:
                held = os.splice(source_end, write_end, SPLICE_BYTES, flags=_SPLICE)
            except BlockingIOError:
                await wait_readable(source_end)
                continue
            if not held:
                break
            while held:
                try:
                    passed = os.splice(read_end, sink_end, held, flags=_SPLICE)
                except BlockingIOError:
                    await wait_writable(sink_end)
                    continue
                held -= passed
                count(passed)
    finally:
        os.close(read_end)
        os.close(write_end)
    with contextlib.suppress(OSError):  # it is gone altogether, which its own direction finds out
        sink.shutdown(socket.SHUT_WR)


async def until_idle(traffic: Traffic, seconds: float = IDLE_SECONDS) -> None:
    """Returns when nothing has moved for so long."""
    seen = -1
    while seen != traffic.total_bytes:
        seen = traffic.total_bytes
        await asyncio.sleep(seconds)


async def send_all(sink: socket.socket, data: bytes | bytearray | memoryview) -> None:
    """Raises OSError; waits while the other side does not read."""
    if data:
        await asyncio.get_running_loop().sock_sendall(sink, data)


def break_off(side: socket.socket) -> None:
    """Closing it will be seen as a break and not as an end: half a download must not look like a whole one."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def both_until_idle(
    outwards: "asyncio.Task[None]", inwards: "asyncio.Task[None]", traffic: Traffic
) -> BaseException | None:
    """Wait for both directions; what broke one of them ends the other. The answer is that failure, None for a good end."""
    idle = asyncio.get_running_loop().create_task(until_idle(traffic), name="egress idle")
    directions = {outwards, inwards}
    try:
        while directions:
            done, _ = await asyncio.wait({*directions, idle}, return_when=asyncio.FIRST_COMPLETED)
            if idle in done:
                return TimeoutError("idle")
            for task in done:
                directions.discard(task)
                if not task.cancelled() and (error := task.exception()) is not None:
                    return error
        return None
    finally:
        await end_all(idle, *directions)
