"""The end of a step's output, for its result."""

from collections import deque

from danube_pkg.core.jobs.coordination import MAX_OUTPUT_BYTES


class OutputTail:
    """The last MAX_OUTPUT_BYTES of an output that arrives in pieces, some of them more than once. end: its length so
    far."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.end = 0

    def add(self, offset: int, data: bytes | memoryview) -> None:
        """A gap before `offset` drops what was kept."""
        if offset > self.end:
            self._chunks.clear()
            self._size = 0
        fresh = data[max(0, self.end - offset) :] if offset <= self.end else data
        if not fresh:
            return
        chunk = bytes(fresh[-MAX_OUTPUT_BYTES:])
        self._chunks.append(chunk)
        self._size += len(chunk)
        self.end = offset + len(data)
        while self._size - len(self._chunks[0]) >= MAX_OUTPUT_BYTES:
            self._size -= len(self._chunks.popleft())

    def last_of(self, total: int) -> bytes | None:
        """The last bytes of an output of `total` bytes; None when this server did not see all of them."""
        wanted = min(total, MAX_OUTPUT_BYTES)
        if self.end != total or self._size < wanted:
            return None
        held = b"".join(self._chunks)
        return held[len(held) - wanted :]
