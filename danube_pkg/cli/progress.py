"""The progress of a transfer on a terminal: one line that is redrawn, and removed at the end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from danube_pkg.cli.output import duration, size, wants_colour

DRAW_SECONDS = 0.1
WIDTH = 30


class Progress:
    """Counts bytes. total_bytes: 0 if it is not known. drawn: whether to draw the line."""

    def __init__(self, name: str, total_bytes: int, *, drawn: bool) -> None:
        self._name = name
        self._total = total_bytes
        self._drawn = drawn
        self._began = self._last = time.monotonic()
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if self._drawn and now - self._last >= DRAW_SECONDS:
            self._last = now
            print(f"\r{self.line(now)}\x1b[K", end="", file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """`packages  [#####.....]  12.3 MB of 24.6 MB  5.1 MB/s  3 s left`."""
        seconds = max(now - self._began, 1e-3)
        rate = self._done / seconds
        if not self._total:
            return f"{self._name}  {size(self._done)}  {size(rate)}/s"
        part = min(1.0, self._done / self._total)
        bar = "#" * round(part * WIDTH)
        left = duration((self._total - self._done) / rate) if rate else "?"
        return (
            f"{self._name}  [{bar:.<{WIDTH}}]  {size(self._done)} of {size(self._total)}  {size(rate)}/s  {left} left"
        )


@contextmanager
def progress(name: str, total_bytes: int) -> Iterator[Progress]:
    """Draws on standard error if that is a terminal."""
    drawn = wants_colour(sys.stderr)
    try:
        yield Progress(name, total_bytes, drawn=drawn)
    finally:
        if drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
