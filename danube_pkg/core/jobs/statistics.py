"""A pipeline's figures, computed from the times of its jobs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import Record


class JobTimes(Record):
    """When a job was queued, started and ended, in Unix seconds."""

    status: Status
    created_at: float
    started_at: float | None
    finished_at: float | None


class Statistics(Record):
    """Durations in seconds; None where no job has one."""

    jobs: int
    by_status: Mapping[str, int]
    success_rate: float | None
    duration_seconds_median: float | None
    duration_seconds_p95: float | None
    queued_seconds_median: float | None


def pipeline_statistics(jobs: Sequence[JobTimes]) -> Statistics:
    """Cancelled jobs count in `by_status` only: they are neither successes nor failures of the pipeline."""
    from statistics import median  # imported on first use: it imports decimal and fractions

    counts = Counter(job.status for job in jobs)
    judged = [job for job in jobs if job.status.ended and job.status is not Status.CANCELLED]
    took = sorted(
        job.finished_at - job.started_at for job in judged if job.finished_at is not None and job.started_at is not None
    )
    queued = [job.started_at - job.created_at for job in jobs if job.started_at is not None]
    return Statistics(
        jobs=len(jobs),
        by_status={str(status): count for status, count in sorted(counts.items())},
        success_rate=counts[Status.SUCCESS] / len(judged) if judged else None,
        duration_seconds_median=median(took) if took else None,
        duration_seconds_p95=took[int(0.95 * (len(took) - 1))] if took else None,
        queued_seconds_median=median(queued) if queued else None,
    )
