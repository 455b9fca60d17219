"""Metrics in Prometheus' text format. Events are counted as they happen; the state is read when metrics are scraped.

The names and labels of the specification are used exactly, also for what this server does not have (a cluster, a
registry): such a metric has no samples.
"""

from collections import Counter as Counting
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric as Family

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.health.ports import Disk
from danube_pkg.core.health.subsystems import PartHealth
from danube_pkg.core.jobs.concurrency import is_unapproved
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job, Phase
from danube_pkg.core.jobs.queue import HOLDS_A_SLOT
from danube_pkg.core.metrics.points import MetricPoints
from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.metrics import definitions as of
from danube_pkg.edges.http.metrics.observations import Observations, counter, gauge
from danube_pkg.edges.http.metrics.points import points_of
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record
from danube_pkg.kit.tallies import MAX_LABELS, OTHER, Tally
from danube_pkg.services.health.upkeep import Upkeep
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.engine import Engine

BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
"""Seconds. A page's query should take 20 ms; after two seconds users reload."""

JOB_BUCKETS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)
"""Seconds. Builds take minutes; an hour is the default limit."""

STEP_BUCKETS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)

WAIT_BUCKETS = (0.1, 1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 14400.0)

PRIVATE = "(private)"

Shown = Callable[[str], bool]
"""Whether the reader of the metrics may see a pipeline's name. Images are named for readers who may see every name."""


class MetricSources(Record):
    """What other parts count or know. registry_pulls: None for a runtime whose images are pulled by others.
    cluster_calls: None without a cluster.

    secret_bytes: of the values that are held to be masked. subsystems: their last known states. freed: bytes that
    retention and clean-ups have freed.
    """

    queries: Tally
    secret_requests: Tally
    secret_bytes: Callable[[], int]
    log_bytes: Callable[[], int]
    syncs: Tally
    sync_status: Callable[[], ConfigurationStatus]
    logins: Tally
    registry_pulls: Tally | None
    cluster_calls: Tally | None
    registry_pushes: Tally
    reconnects: Tally
    upkeep: Upkeep
    freed: Sequence[Tally]
    subsystems: Callable[[], Sequence[PartHealth]]
    disk: Disk
    clock: Clock


class HttpMetrics:
    """Each server has its own registry, so that several can run in one process, as in tests."""

    def __init__(self, engine: Engine, draining: Draining, sources: MetricSources) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests: dict[tuple[str, ...], float] = {}
        self._seconds = Observations(BUCKETS)
        self._engine = engine
        self._draining = draining
        self._sources = sources
        self._ended = _EndedJobs()
        self.lag = Observations(BUCKETS)
        """How late timers run, in seconds; see `kit.loop_lag`."""
        engine.listen(self.job_changed)

    def job_changed(self, job: Job) -> None:
        """A job's new state. It is settled once; after a restart again, where its pod is kept."""
        if job.is_settled:
            self._ended.add(job)

    def count(self, route: str, status: int, seconds: float) -> None:
        key = route, str(status)
        self._requests[key] = self._requests.get(key, 0) + 1
        self._seconds.observe(seconds)

    def text(self, shown: Shown, *, all_names: bool) -> bytes:
        """shown: the pipelines that are named. all_names: whether images are named too."""
        return b"".join([generate_latest(one) for one in self._collectors(shown, all_names=all_names)])

    def points(self) -> Sequence[MetricPoints]:
        """All metrics with every name, for the operator's own receiver."""
        collectors = self._collectors(_every_name, all_names=True)
        return points_of(family for one in collectors for family in one.collect())

    def _collectors(self, shown: Shown, *, all_names: bool) -> "Sequence[Collector]":
        scrape = _Scrape(self._sources, self._ended, shown, all_names=all_names)
        return (
            self.registry,
            self,
            _State(self._engine, self._draining, self._sources, self._ended, self.lag),
            scrape,
        )

    def collect(self) -> Iterable[Family]:
        """The metrics of requests, for `generate_latest`."""
        yield counter(of.REQUESTS, self._requests)
        yield self._seconds.family(of.REQUEST_SECONDS)


def _every_name(_pipeline: str) -> bool:
    return True


class Collector(Protocol):
    """What has families of metrics."""

    def collect(self) -> Iterable[Family]: ...


class _EndedJobs:
    """Jobs that ended since the start of the server: how, and how long they and their steps took, by pipeline."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, Status], int] = {}
        self._pipelines: set[str] = set()
        self.durations = Observations(JOB_BUCKETS)
        self.steps = Observations(STEP_BUCKETS)
        self.waits = Observations(WAIT_BUCKETS)

    def add(self, job: Job) -> None:
        pipeline = job.pipeline if job.pipeline in self._pipelines or len(self._pipelines) < MAX_LABELS else OTHER
        self._pipelines.add(pipeline)
        self.counts[pipeline, job.status] = self.counts.get((pipeline, job.status), 0) + 1
        if job.started_at is not None:
            self.waits.observe(max(0.0, job.started_at - job.created_at))
            if job.finished_at is not None:
                self.durations.observe(max(0.0, job.finished_at - job.started_at), pipeline)
        for step in job.steps:
            if step.sequence != COORDINATOR_SEQUENCE and step.started_at is not None and step.finished_at is not None:
                self.steps.observe(max(0.0, step.finished_at - step.started_at), pipeline)


class _State:
    """The state of queue and server. `generate_latest` needs `collect` only."""

    def __init__(
        self, engine: Engine, draining: Draining, sources: MetricSources, ended: _EndedJobs, lag: Observations
    ) -> None:
        self._lag = lag
        self._engine = engine
        self._draining = draining
        self._sources = sources
        self._ended = ended

    def collect(self) -> Iterable[Family]:
        """Each metric that has no label with a name of a user."""
        sources, jobs = self._sources, self._engine.open_jobs
        counts = Counting(job.phase for job in jobs)
        waiting = [job.created_at for job in jobs if job.phase is Phase.QUEUED and not is_unapproved(job)]
        oldest = max(0.0, sources.clock.now() - min(waiting)) if waiting else 0.0
        yield gauge(of.OPEN_JOBS, {(str(one),): counts[one] for one in Phase if one is not Phase.CLOSED})
        yield gauge(of.ACTIVE_PODS, {(): sum(counts[phase] for phase in HOLDS_A_SLOT)})
        yield gauge(of.QUEUE_LENGTH, {(): len(waiting)})
        yield gauge(of.QUEUE_OLDEST, {(): oldest})
        yield gauge(of.QUEUE_HELD, {(): int(self._engine.is_held)})
        yield self._ended.waits.family(of.QUEUE_WAIT)
        yield counter(of.RECONNECTS, {(): sum(sources.reconnects.by_label().values())})
        yield gauge(of.FOLLOWERS, {(): self._engine.followed_steps})
        yield self._lag.family(of.LAG)
        repairs = {tuple(label.split(" ")): count for label, count in sources.upkeep.outcomes.by_label().items()}
        yield counter(of.REPAIRS, repairs)
        yield counter(of.CLEANED, {key: count for one in sources.freed for key, count in _by_label(one).items()})
        yield gauge(of.SECRET_BYTES, {(): sources.secret_bytes()})
        yield gauge(of.READY, {(str(one.part),): int(one.ok) for one in sources.subsystems()})
        yield gauge(of.DRAINING, {(): int(self._draining.active)})
        yield from self._of_disk()

    def _of_disk(self) -> Iterable[Family]:
        try:
            room = self._sources.disk.room()
        except OSError:  # its check reports it
            return
        yield gauge(of.DISK_FREE, {(): room.free_bytes})
        yield gauge(of.DISK_SIZE, {(): room.total_bytes})


class _Scrape:
    """The metrics of the specification for one reader. `generate_latest` needs `collect` only."""

    def __init__(self, sources: MetricSources, ended: _EndedJobs, shown: Shown, *, all_names: bool) -> None:
        self._sources = sources
        self._ended = ended
        self._shown = shown
        self._all_names = all_names

    def collect(self) -> Iterable[Family]:
        """Each metric of the specification, whether it has samples or not."""
        sources, ended = self._sources, self._ended
        jobs: dict[tuple[str, ...], float] = {}
        for (pipeline, status), count in ended.counts.items():
            key = str(status), self._label(pipeline)
            jobs[key] = jobs.get(key, 0) + count
        yield counter(of.JOBS, jobs)
        yield ended.durations.family(of.JOB_SECONDS, self._label)
        yield ended.steps.family(of.STEP_SECONDS, self._label)
        timeouts = {name: float(count) for (name, status), count in ended.counts.items() if status is Status.TIMEOUT}
        yield counter(of.TIMEOUTS, self._by_pipeline(timeouts))
        yield counter(of.QUERIES, _by_label(sources.queries))
        yield counter(of.SECRET_REQUESTS, self._by_pipeline(sources.secret_requests.by_label()))
        yield counter(of.LOG_BYTES, {(): sources.log_bytes()})
        yield counter(of.SYNCS, _by_label(sources.syncs))
        synced = sources.sync_status()
        is_applied = synced.ok and synced.read_at is not None
        yield gauge(of.LAST_SYNC, {(): synced.read_at or 0.0} if is_applied else {})
        calls = sources.cluster_calls.by_label() if sources.cluster_calls is not None else {}
        yield counter(of.CLUSTER_CALLS, {_two_labels(label): count for label, count in calls.items()})
        yield counter(of.LOGINS, _by_label(sources.logins))
        pulls = sources.registry_pulls.by_label() if sources.registry_pulls is not None else {}
        yield counter(of.PULLS, self._by_image(pulls))
        yield counter(of.PUSHES, self._by_image(sources.registry_pushes.by_label()))

    def _by_image(self, counts: Mapping[str, float]) -> Mapping[tuple[str, ...], float]:
        if self._all_names:
            return {(image,): count for image, count in counts.items()}
        return {(PRIVATE,): sum(counts.values())} if counts else {}

    def _by_pipeline(self, counts: Mapping[str, float]) -> Mapping[tuple[str, ...], float]:
        merged: dict[tuple[str, ...], float] = {}
        for pipeline, count in counts.items():
            label = (self._label(pipeline),)
            merged[label] = merged.get(label, 0) + count
        return merged

    def _label(self, pipeline: str) -> str:
        return pipeline if pipeline == OTHER or self._all_names or self._shown(pipeline) else PRIVATE


def _two_labels(label: str) -> tuple[str, str]:
    operation, _, status = label.partition(" ")
    return operation, status or OTHER


def _by_label(tally: Tally) -> Mapping[tuple[str, ...], float]:
    return {(label,): count for label, count in tally.by_label().items()}
