"""Metrics in Prometheus' text format. Events are counted as they happen; the state is read when metrics are scraped."""

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

from danube_pkg.core.jobs.job import Phase
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.engine import Engine

BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
"""Seconds. A page's query should take 20 ms; after two seconds users reload."""


class HttpMetrics:
    """Each server has its own registry, so that several can run in one process, as in tests."""

    def __init__(self, engine: Engine, draining: Draining) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "danube_http_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "danube_http_request_seconds",
            "Time from a request to its answer's head.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._counters: dict[tuple[str, int], Counter] = {}
        self.registry.register(_Jobs(engine, draining))

    def count(self, route: str, status: int, seconds: float) -> None:
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Jobs(Collector):
    """Open jobs by phase, and whether the server is draining."""

    def __init__(self, engine: Engine, draining: Draining) -> None:
        self._engine = engine
        self._draining = draining

    def collect(self) -> Iterable[Metric]:
        counts = Counting(job.phase for job in self._engine.open_jobs)
        jobs = GaugeMetricFamily("danube_jobs_open", "Jobs that are not closed, by phase.", labels=["phase"])
        for phase in Phase:
            if phase is not Phase.CLOSED:
                jobs.add_metric([str(phase)], counts[phase])
        draining = GaugeMetricFamily("danube_draining", "1 while the server is draining.")
        draining.add_metric([], int(self._draining.active))
        return [jobs, draining]
