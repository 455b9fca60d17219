"""Ports of metrics."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.metrics.points import MetricPoints, Period


class MetricSender(Protocol):
    """A receiver of metrics."""

    async def send(self, endpoint: str, metrics: Sequence[MetricPoints], period: Period) -> None:
        """Sends them in one request. Raises Unavailable where a later try may succeed, Permanent otherwise."""
        ...
