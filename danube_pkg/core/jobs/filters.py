"""Which jobs a list shows: what its reader asked for, within what they may see."""

from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record


class JobFilter(Record):
    """`pipelines`: only of these, None for all; `before`: a job's id that the list begins behind (ids sort by time)."""

    pipelines: frozenset[str] | None = None
    status: Status | None = None
    branch: str | None = None
    before: str | None = None
    limit: int = 50


class Run(Record):
    """A job as a strip of a pipeline's last runs shows it. Times are Unix seconds."""

    id: str
    status: Status
    branch: str
    created_at: float
    started_at: float | None
    finished_at: float | None
