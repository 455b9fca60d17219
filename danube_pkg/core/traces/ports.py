"""Ports of traces."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.traces.spans import Span


class SpanSender(Protocol):
    """A receiver of spans."""

    async def send(self, endpoint: str, spans: Sequence[Span]) -> None:
        """Sends them in one request. Raises Unavailable where a later try may succeed, Permanent otherwise."""
        ...
