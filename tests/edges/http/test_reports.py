"""The tests that a job has reported, over HTTP: failed ones first, flaky marks, earlier results."""

from danube_pkg.adapters.store import SqliteReports
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.report_notes import Annotation, AnnotationLevel, Coverage, FileCoverage, ReportNote
from danube_pkg.core.jobs.reports import CaseStatus, JobReport, ReportCounts, ReportedTest
from danube_pkg.core.reasons import Status
from tests.edges.http.api import Api


async def reporting(api: Api, *failures: str) -> Job:
    """A job in which these tests failed and another one passed."""
    counts = ReportCounts(1, 1, len(failures), 0, failures)
    job = await api.job("app", status=Status.FAILURE if failures else Status.SUCCESS, reports=(counts,))
    cases = [ReportedTest(name, CaseStatus.FAILED, 0.1, "why", "a.py", 3) for name in failures]
    cases.append(ReportedTest("fine", CaseStatus.PASSED, 2.0))
    await SqliteReports(api.parts.store.database).add_report(job.id, JobReport(counts, tuple(cases)))
    return job


async def test_failed_tests_come_first_with_their_history(api: Api) -> None:
    api.team("core")
    api.pipeline("app", owner="core")
    alice = await api.caller("alice", core="member")
    green, red = await reporting(api), await reporting(api, "broken")
    found = (await alice.get(f"/api/v1/jobs/{red.id}/tests")).json
    assert found["summary"] == "1 of 2 tests failed: broken"
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 1, 0)
    broken, fine = found["tests"]
    assert (broken["name"], broken["message"], broken["file"], broken["line"]) == ("broken", "why", "a.py", 3)
    assert broken["history"] == [{"job": red.id, "failed": True}, {"job": green.id, "failed": False}]
    assert broken["is_flaky"], "both jobs have the same commit"
    assert (fine["status"], fine["history"]) == ("passed", [])
    explained = (await alice.get(f"/api/v1/jobs/{red.id}/explanation")).json
    assert "1 of 2 tests failed: broken." in explained["lines"]


async def test_a_job_without_a_report_has_no_tests(api: Api) -> None:
    api.team("core")
    api.pipeline("app", owner="core")
    alice = await api.caller("alice", core="member")
    found = (await alice.get(f"/api/v1/jobs/{(await api.job('app')).id}/tests")).json
    assert (found["summary"], found["tests"]) == ("", [])


async def test_coverage_annotations_and_summaries_are_shown_as_untrusted_text(api: Api) -> None:
    api.team("core")
    api.pipeline("app", owner="core")
    alice = await api.caller("alice", core="member")
    job, store = await reporting(api, "broken"), SqliteReports(api.parts.store.database)
    coverage = Coverage("unit", 4, 5, (FileCoverage("a.py", 4, 5),))
    annotations = (
        Annotation(AnnotationLevel.NOTICE, "long line", "a.py", 9),
        Annotation(AnnotationLevel.ERROR, "no such name", "a.py", 7),
    )
    await store.add_note(job.id, ReportNote(1, "<script>alert(1)</script>"))
    await store.add_note(job.id, ReportNote(2, coverage=coverage, annotations=annotations))
    await store.add_note(job.id, ReportNote(2, "repeated"))
    found = (await alice.get(f"/api/v1/jobs/{job.id}/notes")).json
    assert found["summaries"] == ["<script>alert(1)</script>"]
    assert (found["coverage"][0]["percent"], found["coverage"][0]["words"]) == (80.0, "80 % of 5 lines")
    assert [one["line"] for one in found["annotations"]] == [7, 9], "errors first"
    explained = (await alice.get(f"/api/v1/jobs/{job.id}/explanation")).json
    assert "unit: 80 % of 5 lines." in explained["lines"]
    assert "error in a.py:7: no such name" in explained["lines"]
    assert [one["message"] for one in explained["annotations"]] == ["broken: why", "no such name", "long line"]
    assert explained["coverage"] == found["coverage"]
