"""`core.metrics.ports.MetricSender`: an ExportMetricsServiceRequest of OTLP.

Names are those of Prometheus' text format, so that dashboards and rules are the same. Counters and histograms are
cumulative from the server's start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.adapters.otlp.client import OtlpClient, Signal, attributes, nanoseconds
from danube_pkg.core.metrics.points import MetricKind, MetricPoint, MetricPoints, Period

CUMULATIVE = 2


class HttpMetricSender:
    """Sends metrics by a client, which its owner closes."""

    def __init__(self, client: OtlpClient) -> None:
        self._client = client

    async def send(self, endpoint: str, metrics: Sequence[MetricPoints], period: Period) -> None:
        """Raises Unavailable, Permanent."""
        found = [_metric(one, period) for one in metrics if one.points]
        scopes = [{"scope": self._client.scope, "metrics": found}]
        content = {"resourceMetrics": [{"resource": self._client.resource, "scopeMetrics": scopes}]}
        await self._client.send(endpoint, Signal.METRICS, content)


def _metric(metric: MetricPoints, period: Period) -> Mapping[str, Any]:
    named = {"name": metric.name, "description": metric.text}
    if metric.kind is MetricKind.HISTOGRAM:
        points = [_histogram_point(one, period) for one in metric.points]
        return {**named, "histogram": {"dataPoints": points, "aggregationTemporality": CUMULATIVE}}
    numbers = [{**_point(one, period), "asDouble": one.value} for one in metric.points]
    if metric.kind is MetricKind.GAUGE:
        return {**named, "gauge": {"dataPoints": numbers}}
    return {**named, "sum": {"dataPoints": numbers, "aggregationTemporality": CUMULATIVE, "isMonotonic": True}}


def _point(point: MetricPoint, period: Period) -> Mapping[str, Any]:
    return {
        "attributes": attributes(point.labels),
        "startTimeUnixNano": nanoseconds(period.begin),
        "timeUnixNano": nanoseconds(period.end),
    }


def _histogram_point(point: MetricPoint, period: Period) -> Mapping[str, Any]:
    return {
        **_point(point, period),
        "count": str(sum(point.counts)),
        "sum": point.value,
        "bucketCounts": list(map(str, point.counts)),
        "explicitBounds": list(point.bounds),
    }
