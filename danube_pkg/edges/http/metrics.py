"""Figures in Prometheus' text format. Counted as things happen; what can be looked at is looked at when it is asked for."""

from collections import Counter as Counting
from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from danube_pkg.core.errors import NotFound
from danube_pkg.core.jobs import Phase
from danube_pkg.edges.http.messages import Request, Response
from danube_pkg.edges.http.resource import Resource, answers
from danube_pkg.edges.http.services import Services

BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
"""Seconds. 20 ms is the budget of a page's query; beyond two seconds people reload."""

CONTENT = "text/plain; version=0.0.4; charset=utf-8"


class HttpMetrics:
    """One registry a server, so that several can live in one process, as they do in tests."""

    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "danube_http_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "danube_http_request_seconds", "Time to an answer's head.", buckets=BUCKETS, registry=self.registry
        )
        self._counters: dict[tuple[str, int], Counter] = {}
        self.registry.register(_Jobs(services))

    def count(self, route: str, status: int, seconds: float) -> None:
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Jobs(Collector):
    """Open jobs by phase, and whether new work is taken."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        counts = Counting(job.phase for job in self._services.engine.open_jobs)
        jobs = GaugeMetricFamily("danube_jobs_open", "Jobs that are not closed, by phase.", labels=["phase"])
        for phase in Phase:
            if phase is not Phase.CLOSED:
                jobs.add_metric([str(phase)], counts[phase])
        draining = GaugeMetricFamily("danube_draining", "1 while no new work is taken.")
        draining.add_metric([], int(self._services.draining.active))
        return [jobs, draining]


class Metrics(Resource):
    """`figures` is set by the router, which counts."""

    figures: HttpMetrics

    @answers(200, content=CONTENT, refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """Figures for Prometheus, unless the configuration switches them off."""
        configuration = self.services.configuration
        if configuration is not None and not configuration.config.observability.metrics_enabled:
            raise NotFound(
                "metrics-off", "this server shows no figures", hint="config.yaml: observability.metrics_enabled"
            )
        return Response(200, self.figures.text(), (("content-type", CONTENT),))
