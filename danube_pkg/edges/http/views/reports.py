"""What a job has reported of its tests."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.reports import CaseStatus, PastResult, ReportedTest, is_flaky, summary_of_tests
from danube_pkg.kit.records import Record


class PastResultView(Record):
    """A test in a job."""

    job: Annotated[str, about("The job's id.")]
    failed: Annotated[bool, about("Whether the test failed in it.")]


class ReportedTestView(Record):
    """A test that a report names."""

    name: Annotated[str, about("Its name: class and function, behind the leg of a matrix where there is one.")]
    status: Annotated[CaseStatus, about("How it ended; flaky: it failed, and passed when it was repeated.")]
    seconds: Annotated[float, about("How long it took, all repetitions together.")]
    message: Annotated[str, about("Why it failed; empty where it did not, or where the report does not say.")]
    file: Annotated[str, about("The file that it is in; empty where the report does not say.")]
    line: Annotated[int, about("The line in that file; 0 where the report does not say.")]
    is_flaky: Annotated[bool, about("Whether it both failed and passed on one commit, in this job or in two.")]
    history: Annotated[
        tuple[PastResultView, ...],
        about("The newest jobs of the pipeline with reports, this one first; empty for a test that has not failed."),
    ]


class ReportedTests(Record):
    """All that a job has reported of its tests."""

    summary: Annotated[str, about("The counts in one sentence; empty for a job without a report.")]
    passed: Annotated[int, about("How many tests passed.")]
    failed: Annotated[int, about("How many failed.")]
    skipped: Annotated[int, about("How many were skipped.")]
    tests: Annotated[
        tuple[ReportedTestView, ...], about("Failed tests first, then flaky ones, then the slowest of the others.")
    ]


def reported_tests(job: Job, cases: Sequence[ReportedTest], past: Mapping[str, Sequence[PastResult]]) -> ReportedTests:
    """past: by the names of tests that have not simply passed."""
    return ReportedTests(
        summary=summary_of_tests(job.reports),
        passed=sum(one.passed for one in job.reports),
        failed=sum(one.failed for one in job.reports),
        skipped=sum(one.skipped for one in job.reports),
        tests=tuple(_view(one, past.get(one.name, ())) for one in cases),
    )


def _view(case: ReportedTest, past: Sequence[PastResult]) -> ReportedTestView:
    return ReportedTestView(
        name=case.name,
        status=case.status,
        seconds=case.seconds,
        message=case.message,
        file=case.file,
        line=case.line,
        is_flaky=is_flaky(case.status, past),
        history=tuple(PastResultView(one.job_id, one.failed) for one in past),
    )
