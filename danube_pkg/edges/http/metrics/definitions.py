"""Every metric and every alert, once: the endpoint takes name, text and labels from here, and
`python -m build_steps.metrics_files` makes `docs/metrics.md` and the files of `deploy/` from it."""

from danube_pkg.core.metrics.points import MetricKind
from danube_pkg.kit.records import Record


class Metric(Record):
    """A metric. name: as it is written in a query; a counter's ends in `_total`. text: one sentence. labels: each has a
    bounded number of values. query: what the dashboard shows. unit: of the dashboard's axis, in Grafana's words."""

    name: str
    kind: MetricKind
    text: str
    labels: tuple[str, ...] = ()
    query: str = ""
    unit: str = "short"


COUNTER, GAUGE, HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

JOBS = Metric(
    "danube_jobs_total", COUNTER, "Jobs that ended.", ("status", "pipeline"), "sum by (status) (rate(NAME[15m]))"
)
JOB_SECONDS = Metric(
    "danube_job_duration_seconds",
    HISTOGRAM,
    "Time from a job's start to its end.",
    ("pipeline",),
    "histogram_quantile(0.9, sum by (le, pipeline) (rate(NAME_bucket[1h])))",
    "s",
)
ACTIVE_PODS = Metric("danube_active_pods", GAUGE, "Pods of jobs.", (), "NAME")
QUERIES = Metric(
    "danube_database_queries_total",
    COUNTER,
    "Queries and transactions.",
    ("operation",),
    "sum by (operation) (rate(NAME[5m]))",
)
SECRET_REQUESTS = Metric(
    "danube_secret_requests_total",
    COUNTER,
    "Secrets that jobs requested.",
    ("pipeline",),
    "sum by (pipeline) (rate(NAME[15m]))",
)
LOG_BYTES = Metric(
    "danube_log_bytes_written_total", COUNTER, "Bytes written into jobs' logs.", (), "rate(NAME[5m])", "Bps"
)
SYNCS = Metric(
    "danube_cac_sync_total",
    COUNTER,
    "Syncs of the configuration: success or failure.",
    ("status",),
    "sum by (status) (rate(NAME[15m]))",
)
LAST_SYNC = Metric(
    "danube_cac_sync_last_success",
    GAUGE,
    "Unix time of the last sync after which the newest revision was applied.",
    (),
    "time() - NAME",
    "s",
)
TIMEOUTS = Metric(
    "danube_job_timeouts_total",
    COUNTER,
    "Jobs that took longer than allowed.",
    ("pipeline",),
    "sum by (pipeline) (increase(NAME[1h]))",
)
CLUSTER_CALLS = Metric(
    "danube_k8s_api_calls_total",
    COUNTER,
    "Calls of a cluster's API; without samples where there is no cluster.",
    ("operation", "status"),
    "sum by (operation, status) (rate(NAME[5m]))",
)
LOGINS = Metric(
    "danube_dex_logins_total",
    COUNTER,
    "Logins at Dex or another issuer: success or failure.",
    ("status",),
    "sum by (status) (increase(NAME[1h]))",
)
PULLS = Metric(
    "danube_registry_pulls_total",
    COUNTER,
    "Images pulled from registries.",
    ("image",),
    "sum by (image) (increase(NAME[1h]))",
)
PUSHES = Metric(
    "danube_registry_pushes_total",
    COUNTER,
    "Images that jobs pushed to the server's own registry, once it confirmed them; without samples where there is none.",
    ("image",),
    "sum by (image) (increase(NAME[1h]))",
)

SPECIFIED = (
    JOBS,
    JOB_SECONDS,
    ACTIVE_PODS,
    QUERIES,
    SECRET_REQUESTS,
    LOG_BYTES,
    SYNCS,
    LAST_SYNC,
    TIMEOUTS,
    CLUSTER_CALLS,
    LOGINS,
    PULLS,
    PUSHES,
)
"""The specification's, by its names. They exist on every server, also without a cluster, Dex or registry."""

SECRET_BYTES = Metric(
    "danube_secret_cache_bytes", GAUGE, "Bytes of secret values in memory, to mask them in logs.", (), "NAME", "bytes"
)
OPEN_JOBS = Metric(
    "danube_jobs_open", GAUGE, "Jobs that are not closed, by phase.", ("phase",), "sum by (phase) (NAME)"
)
QUEUE_LENGTH = Metric(
    "danube_queue_length", GAUGE, "Jobs that wait to be started; without those that wait for an approval.", (), "NAME"
)
QUEUE_OLDEST = Metric(
    "danube_queue_oldest_seconds",
    GAUGE,
    "How long the oldest of these jobs has waited; 0 without one.",
    (),
    "NAME",
    "s",
)
QUEUE_WAIT = Metric(
    "danube_queue_wait_seconds",
    HISTOGRAM,
    "Time from a job's creation to its start.",
    (),
    "histogram_quantile(0.9, sum by (le) (rate(NAME_bucket[1h])))",
    "s",
)
QUEUE_HELD = Metric("danube_queue_held", GAUGE, "1 while no job is started because the disk has no room.", (), "NAME")
STEP_SECONDS = Metric(
    "danube_step_duration_seconds",
    HISTOGRAM,
    "Time from a step's start to its end.",
    ("pipeline",),
    "histogram_quantile(0.9, sum by (le, pipeline) (rate(NAME_bucket[1h])))",
    "s",
)
RECONNECTS = Metric(
    "danube_step_reconnects_total",
    COUNTER,
    "Connections to steps that broke and were made again.",
    (),
    "rate(NAME[15m])",
)
FOLLOWERS = Metric("danube_step_followers", GAUGE, "Steps that are followed at this moment.", (), "NAME")
LAG = Metric(
    "danube_event_loop_lag_seconds",
    HISTOGRAM,
    "How late the server's event loop runs a timer: what every request waits at least.",
    (),
    "histogram_quantile(0.99, sum by (le) (rate(NAME_bucket[5m])))",
    "s",
)
REPAIRS = Metric(
    "danube_repairs_total",
    COUNTER,
    "Repairs that the server made by itself; make-room is the clean-up of a low disk.",
    ("repair", "outcome"),
    "sum by (repair, outcome) (increase(NAME[1h]))",
)
CLEANED = Metric(
    "danube_cleanup_freed_bytes_total",
    COUNTER,
    "Bytes that were freed: by retention (logs-age, artifacts-size, …), and on a low disk.",
    ("kind",),
    "sum by (kind) (increase(NAME[1d]))",
    "bytes",
)
DISK_FREE = Metric(
    "danube_disk_free_bytes", GAUGE, "Free bytes on the disk of the data directory.", (), "NAME", "bytes"
)
DISK_SIZE = Metric("danube_disk_size_bytes", GAUGE, "Size of the disk of the data directory.", (), "NAME", "bytes")
READY = Metric(
    "danube_subsystem_ready",
    GAUGE,
    "1 for a subsystem that works, by the last check.",
    ("subsystem",),
    "min by (subsystem) (NAME)",
)
DRAINING = Metric("danube_draining", GAUGE, "1 while the server is draining.", (), "NAME")
REQUESTS = Metric(
    "danube_http_requests_total",
    COUNTER,
    "Requests by route and status.",
    ("route", "status"),
    "sum by (status) (rate(NAME[5m]))",
    "reqps",
)
REQUEST_SECONDS = Metric(
    "danube_http_request_seconds",
    HISTOGRAM,
    "Time from a request to its answer's head.",
    (),
    "histogram_quantile(0.99, sum by (le) (rate(NAME_bucket[5m])))",
    "s",
)

METRICS = (
    *SPECIFIED,
    SECRET_BYTES,
    OPEN_JOBS,
    QUEUE_LENGTH,
    QUEUE_OLDEST,
    QUEUE_WAIT,
    QUEUE_HELD,
    STEP_SECONDS,
    RECONNECTS,
    FOLLOWERS,
    LAG,
    REPAIRS,
    CLEANED,
    DISK_FREE,
    DISK_SIZE,
    READY,
    DRAINING,
    REQUESTS,
    REQUEST_SECONDS,
)


class Alert(Record):
    """An alert rule. expression: PromQL. lasts: how long it must be true. text: what has happened. do: what to do."""

    name: str
    expression: str
    lasts: str
    severity: str
    text: str
    do: str


ALERTS = (
    Alert(
        "DanubeDown",
        'up{job="danube"} == 0',
        "5m",
        "critical",
        "the server does not answer",
        "systemctl status danube; running jobs continue without it",
    ),
    Alert(
        "DanubeNotReady",
        "danube_subsystem_ready == 0",
        "10m",
        "critical",
        "the subsystem {{ $labels.subsystem }} does not work",
        "danube health says why, and what fixes it",
    ),
    Alert(
        "DanubeConfigurationStale",
        "time() - danube_cac_sync_last_success > 1800",
        "5m",
        "warning",
        "the configuration was not applied for half an hour",
        "danube config status",
    ),
    Alert(
        "DanubeQueueHeld",
        "danube_queue_held == 1",
        "5m",
        "critical",
        "no job is started: the disk has no room",
        "danube health; danube image list",
    ),
    Alert(
        "DanubeQueueSlow",
        "danube_queue_oldest_seconds > 1800",
        "10m",
        "warning",
        "a job waits for half an hour",
        "danube jobs --status pending; danube explain JOB",
    ),
    Alert(
        "DanubeDiskLow",
        "danube_disk_free_bytes / danube_disk_size_bytes < 0.1",
        "15m",
        "warning",
        "less than a tenth of the disk is free",
        "danube image list; danube image remove NAME",
    ),
    Alert(
        "DanubeRepairsFail",
        'increase(danube_repairs_total{outcome="failed"}[1h]) > 2',
        "0m",
        "warning",
        "the repair {{ $labels.repair }} does not help",
        "danube health; danube audit --action repair",
    ),
    Alert(
        "DanubeJobsTimeOut",
        "sum by (pipeline) (increase(danube_job_timeouts_total[1h])) > 3",
        "0m",
        "warning",
        "jobs of {{ $labels.pipeline }} take longer than allowed",
        "danube jobs --pipeline {{ $labels.pipeline }} --status timeout",
    ),
    Alert(
        "DanubeEventLoopSlow",
        "histogram_quantile(0.99, sum by (le) (rate(danube_event_loop_lag_seconds_bucket[5m]))) > 0.5",
        "10m",
        "warning",
        "the server answers late: its processor is busy, or something blocks it",
        "top; danube doctor",
    ),
    Alert(
        "DanubeRequestsFail",
        'sum(rate(danube_http_requests_total{status=~"5.."}[5m])) > 0.1',
        "10m",
        "warning",
        "requests are answered with errors of the server",
        "journalctl --priority=err --unit=danube",
    ),
)
