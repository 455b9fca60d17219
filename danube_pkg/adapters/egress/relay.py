"""Relays bytes between two sockets in both directions.

The kernel moves the bytes (splice through a pipe), so that they are never copied into this process, and backpressure is
kept. The end of one direction is passed on as a half-close; the other direction continues.
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
"""The default capacity of a pipe; larger ones are not faster, and users may have only few of them."""

IDLE_SECONDS = 900.0
"""Timeout without a byte in either direction; a server may process a large push for some minutes."""

_SPLICE = getattr(os, "SPLICE_F_MOVE", 1) | getattr(os, "SPLICE_F_NONBLOCK", 2)


class Traffic:
    """Bytes in each direction, as seen from the pod."""

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
    """Relays from one socket to the other until the end, which is passed on. Raises OSError if either breaks."""
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
    with contextlib.suppress(OSError):  # it is closed; its own direction raises the error
        sink.shutdown(socket.SHUT_WR)


async def until_idle(traffic: Traffic, seconds: float = IDLE_SECONDS) -> None:
    """Returns when no byte has moved for `seconds`."""
    seen = -1
    while seen != traffic.total_bytes:
        seen = traffic.total_bytes
        await asyncio.sleep(seconds)


async def send_all(sink: socket.socket, data: bytes | bytearray | memoryview) -> None:
    """Sends all data; waits while the peer does not read. Raises OSError."""
    if data:
        await asyncio.get_running_loop().sock_sendall(sink, data)


def reset_on_close(side: socket.socket) -> None:
    """Makes close() send a reset: a truncated download must not look complete."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def both_until_idle(
    outwards: "asyncio.Task[None]", inwards: "asyncio.Task[None]", traffic: Traffic
) -> BaseException | None:
    """Waits for both directions; a failure of one ends the other. Returns that failure, None for a regular end."""
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
