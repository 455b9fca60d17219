"""Filters of job lists, and what lists of runs show."""

from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record


class JobFilter(Record):
    """pipelines: None for all. before: only jobs that are older than this job id (ids sort by time)."""

    pipelines: frozenset[str] | None = None
    status: Status | None = None
    branch: str | None = None
    before: str | None = None
    limit: int = 50


class RunSummary(Record):
    """A job in the row of a pipeline's last runs. Times are Unix seconds."""

    id: str
    status: Status
    branch: str
    created_at: float
    started_at: float | None
    finished_at: float | None
