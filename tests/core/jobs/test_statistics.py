"""Figures of a pipeline, and which jobs count."""

from danube_pkg.core.jobs.statistics import JobTimes, pipeline_statistics
from danube_pkg.core.reasons import Status


def job(status: Status, *, queued: float = 1.0, took: float | None = 10.0) -> JobTimes:
    started = 100.0 + queued
    return JobTimes(status, 100.0, started, started + took if took is not None else None)


def test_without_jobs_there_are_no_figures() -> None:
    found = pipeline_statistics([])
    assert (found.jobs, found.success_rate, found.duration_seconds_median) == (0, None, None)


def test_a_cancelled_or_running_job_does_not_count() -> None:
    jobs = [job(Status.SUCCESS), job(Status.FAILURE), job(Status.CANCELLED, took=999), job(Status.RUNNING, took=None)]
    found = pipeline_statistics(jobs)
    assert found.success_rate == 0.5
    assert found.duration_seconds_median == 10
    assert found.by_status == {"cancelled": 1, "failure": 1, "running": 1, "success": 1}


def test_the_95th_percentile_shows_slow_jobs() -> None:
    jobs = [job(Status.SUCCESS, took=float(seconds), queued=2.0) for seconds in range(1, 101)]
    found = pipeline_statistics(jobs)
    assert (found.duration_seconds_median, found.duration_seconds_p95, found.queued_seconds_median) == (50.5, 95.0, 2.0)
