"""Reported tests in the store: once for each call, in the order in which they are shown, with earlier results."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from danube_pkg.adapters.store import Database, SqliteJobs, SqlitePipelines, SqliteReports
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.reports import CaseStatus, JobReport, PastResult, ReportCounts, ReportedTest
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from tests.support.databases import open_new_database

FAILED, FLAKY, PASSED = CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.PASSED


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = open_new_database(tmp_path / "danube.db")
    pipelines = [Pipeline(f"id-{name}", name, "team", PipelineSettings("r")) for name in ("app", "other")]
    await SqlitePipelines(made).apply_pipelines(pipelines, "revision")
    yield made
    await made.close()


async def a_job(database: Database, job_id: str, commit_sha: str, *failures: str, pipeline: str = "app") -> None:
    """A job with a report in which these tests failed."""
    trigger = Trigger("manual", "me", Revision(commit_sha))
    job = Job(job_id, f"id-{pipeline}", pipeline, trigger, PipelineSettings("r"), created_at=1.0)
    report = JobReport(ReportCounts(1, 1, len(failures), 0), tuple(ReportedTest(one, FAILED, 0.0) for one in failures))
    await SqliteJobs(database).create_jobs([replace(job, reports=(report.counts,))])
    await SqliteReports(database).add_report(job_id, report)


async def test_tests_are_listed_failed_first_and_the_slowest_of_the_others(database: Database) -> None:
    await a_job(database, "01", "c0ffee", "f1")
    cases = (
        ReportedTest("p1", PASSED, 1.0),
        ReportedTest("p2", PASSED, 2.0),
        ReportedTest("k1", FLAKY, 0.5, "why", "a.py", 3),
        ReportedTest("f2", FAILED, 0.1),
    )
    store = SqliteReports(database)
    for _ in range(2):  # a repeated call
        await store.add_report("01", JobReport(ReportCounts(2, 3, 1, 0), cases))
    assert [one.name for one in await store.list_cases("01")] == ["f1", "f2", "k1", "p2", "p1"]
    assert (await store.list_cases("01"))[2] == cases[2]


async def test_the_history_of_a_test_is_that_of_its_pipelines_jobs_with_reports(database: Database) -> None:
    await a_job(database, "01", "a", "t")
    await a_job(database, "02", "b")
    await a_job(database, "03", "b", "t", pipeline="other")
    job = Job("04", "id-app", "app", Trigger("manual", "me"), PipelineSettings("r"), created_at=1.0)
    await SqliteJobs(database).create_jobs([job])
    await a_job(database, "05", "b", "t", "u")
    await a_job(database, "06", "c", "t")
    found = await SqliteReports(database).past_results("05", "t")
    assert found == [PastResult("05", "b", True), PastResult("02", "b", False), PastResult("01", "a", True)]


async def test_what_is_read_of_a_jobs_reports_is_what_was_written(database: Database) -> None:
    await a_job(database, "01", "a", "t")
    job = await SqliteJobs(database).load_job("01")
    assert job is not None
    assert job.reports == (ReportCounts(1, 1, 1, 0),)
