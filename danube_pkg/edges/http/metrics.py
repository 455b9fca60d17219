"""Metrics in Prometheus' text format. Events are counted as they happen; the state is read when metrics are scraped.

The names and labels of the specification are used exactly, also for what this server does not have (a cluster, a
registry): such a metric has no samples.
"""

from bisect import bisect_left
from collections import Counter as Counting
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import HOLDS_A_SLOT
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record
from danube_pkg.kit.tallies import MAX_LABELS, OTHER, Tally
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.engine import Engine

BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
"""Seconds. A page's query should take 20 ms; after two seconds users reload."""

JOB_BUCKETS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Seconds. Builds take minutes; an hour is the default limit."""

PRIVATE = "(private)"

Shown = Callable[[str], bool]
"""Whether the reader of the metrics may see a pipeline's name. Images are named for readers who may see every name."""


class MetricSources(Record):
    """What other parts count. registry_pulls: None for a runtime whose images are pulled by others."""

    queries: Tally
    secret_requests: Tally
    log_bytes: Callable[[], int]
    syncs: Tally
    sync_status: Callable[[], ConfigurationStatus]
    logins: Tally
    registry_pulls: Tally | None


class HttpMetrics:
    """Each server has its own registry, so that several can run in one process, as in tests."""

    def __init__(self, engine: Engine, draining: Draining, sources: MetricSources) -> None:
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
        self._sources = sources
        self._ended = _EndedJobs()
        engine.listen(self.job_changed)

    def job_changed(self, job: Job) -> None:
        """A job's new state; the state `closed` is its last, and comes once."""
        if job.phase is Phase.CLOSED:
            self._ended.add(job)

    def count(self, route: str, status: int, seconds: float) -> None:
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        self._seconds.observe(seconds)

    def text(self, shown: Shown, *, all_names: bool) -> bytes:
        """shown: the pipelines that are named. all_names: whether images are named too."""
        scrape = _Scrape(self._sources, self._ended, shown, all_names=all_names)
        return generate_latest(self.registry) + generate_latest(scrape)


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
        pods = sum(counts[phase] for phase in HOLDS_A_SLOT)
        draining = GaugeMetricFamily("danube_draining", "1 while the server is draining.")
        draining.add_metric([], int(self._draining.active))
        return [jobs, GaugeMetricFamily("danube_active_pods", "Pods of jobs.", value=pods), draining]


class _EndedJobs:
    """Jobs that ended since the start of the server: how, and how long they took, by pipeline."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, Status], int] = {}
        self.durations: dict[str, tuple[list[int], float]] = {}
        """For each pipeline the jobs in each bucket of JOB_BUCKETS and above, and the sum of seconds."""

    def add(self, job: Job) -> None:
        pipeline = job.pipeline if job.pipeline in self.durations or len(self.durations) < MAX_LABELS else OTHER
        self.counts[pipeline, job.status] = self.counts.get((pipeline, job.status), 0) + 1
        buckets, seconds = self.durations.setdefault(pipeline, ([0] * (len(JOB_BUCKETS) + 1), 0.0))
        if job.started_at is not None and job.finished_at is not None:
            took = max(0.0, job.finished_at - job.started_at)
            buckets[bisect_left(JOB_BUCKETS, took)] += 1
            self.durations[pipeline] = (buckets, seconds + took)


class _Scrape:
    """The metrics of the specification for one reader. `generate_latest` needs `collect` only."""

    def __init__(self, sources: MetricSources, ended: _EndedJobs, shown: Shown, *, all_names: bool) -> None:
        self._sources = sources
        self._ended = ended
        self._shown = shown
        self._all_names = all_names

    def collect(self) -> Iterable[Metric]:
        """Each metric of the specification, whether it has samples or not."""
        yield from self._of_jobs()
        sources = self._sources
        yield _counter("danube_database_queries", "Queries and transactions.", "operation", sources.queries.by_label())
        yield self._by_pipeline(
            "danube_secret_requests", "Secrets that jobs requested.", sources.secret_requests.by_label()
        )
        yield CounterMetricFamily(
            "danube_log_bytes_written", "Bytes written into jobs' logs.", value=sources.log_bytes()
        )
        yield _counter("danube_cac_sync", "Syncs of the configuration.", "status", sources.syncs.by_label())
        status = sources.sync_status()
        last = GaugeMetricFamily("danube_cac_sync_last_success", "Unix time of the last successful sync.")
        if status.ok and status.read_at is not None:
            last.add_metric([], status.read_at)
        yield last
        yield CounterMetricFamily("danube_k8s_api_calls", "Calls of a cluster's API.", labels=["operation", "status"])
        yield _counter("danube_dex_logins", "Logins at Dex or another issuer.", "status", sources.logins.by_label())
        pulls = sources.registry_pulls.by_label() if sources.registry_pulls is not None else {}
        images = pulls if self._all_names else {PRIVATE: sum(pulls.values())} if pulls else {}
        yield _counter("danube_registry_pulls", "Images pulled from registries.", "image", images)
        yield CounterMetricFamily("danube_registry_pushes", "Images pushed to the own registry.", labels=["image"])

    def _of_jobs(self) -> Iterable[Metric]:
        jobs = CounterMetricFamily("danube_jobs", "Jobs that ended.", labels=["status", "pipeline"])
        by_label: dict[tuple[str, str], int] = {}
        for (pipeline, status), count in self._ended.counts.items():
            key = str(status), self._label(pipeline)
            by_label[key] = by_label.get(key, 0) + count
        for labels, count in by_label.items():
            jobs.add_metric(list(labels), count)
        yield jobs
        yield self._durations()
        timeouts = {
            pipeline: float(count)
            for (pipeline, status), count in self._ended.counts.items()
            if status is Status.TIMEOUT
        }
        yield self._by_pipeline("danube_job_timeouts", "Jobs that took longer than allowed.", timeouts)

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "danube_job_duration_seconds", "Time from a job's start to its end.", labels=["pipeline"]
        )
        merged: dict[str, tuple[list[int], float]] = {}
        for pipeline, (buckets, seconds) in self._ended.durations.items():
            label = self._label(pipeline)
            known, sum_ = merged.get(label, ([0] * len(buckets), 0.0))
            merged[label] = [a + b for a, b in zip(known, buckets, strict=True)], sum_ + seconds
        for label, (buckets, seconds) in merged.items():
            names = [*(f"{limit:g}" for limit in JOB_BUCKETS), "+Inf"]
            cumulative = [(name, float(sum(buckets[: at + 1]))) for at, name in enumerate(names)]
            family.add_metric([label], cumulative, seconds)
        return family

    def _by_pipeline(self, name: str, text: str, counts: Mapping[str, float]) -> Metric:
        merged: dict[str, float] = {}
        for pipeline, count in counts.items():
            label = self._label(pipeline)
            merged[label] = merged.get(label, 0) + count
        return _counter(name, text, "pipeline", merged)

    def _label(self, pipeline: str) -> str:
        return pipeline if pipeline == OTHER or self._all_names or self._shown(pipeline) else PRIVATE


def _counter(name: str, text: str, label: str, counts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
