"""A load generator as a process of its own: `python -m bench.load HOST PORT CONNECTIONS SECONDS`, the request on
standard input.

Prints JSON: requests, seconds, the times of all answers. It parses no more of an answer than its length, so that one
core of it asks faster than any of the servers answers; `idle_share` says how much of its time it waited.
"""

import asyncio
import json
import sys
import time


class Connection(asyncio.Protocol):
    """Sends the next request as soon as a response has arrived."""

    def __init__(self, request: bytes, until: float, times: list[float], statuses: set[bytes]) -> None:
        self.request = request
        self.until = until
        self.times = times
        self.statuses = statuses
        self.buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length: ") + 16
        length = int(head[at:].partition(b"\r")[0])
        if len(self.buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self.times.append(now - self.asked)
        self.statuses.add(head[9:12])
        self.buffer = b""
        if now < self.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run(host: str, port: int, connections: int, seconds: float, request: bytes) -> dict[str, object]:
    """Send requests over all connections until the time is over."""
    times: list[float] = []
    statuses: set[bytes] = set()
    loop = asyncio.get_running_loop()
    started, used = time.perf_counter(), time.process_time()
    until = started + seconds
    made = [
        await loop.create_connection(lambda: Connection(request, until, times, statuses), host, port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    took = time.perf_counter() - started
    return {
        "requests": len(times),
        "seconds": took,
        "times": times,
        "statuses": sorted(status.decode() for status in statuses),
        "idle_share": 1 - (time.process_time() - used) / took,
    }


if __name__ == "__main__":
    _, where, number, count, duration = sys.argv
    asked = sys.stdin.buffer.read()
    print(json.dumps(asyncio.run(run(where, int(number), int(count), float(duration), asked))))
