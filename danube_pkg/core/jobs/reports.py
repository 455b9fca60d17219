"""Reports of tests: how many passed, and which failed, were flaky or took longest.

They decide nothing by themselves.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from danube_pkg.kit.records import Record

MAX_REPORTS = 100
"""The reports of one job; each leg of a matrix may have one."""

MAX_CASES = 250
"""The tests that one report names: 200 failed or flaky ones and the slowest. Others are only counted."""

MAX_TEST_NAME_BYTES = 300
MAX_TEST_MESSAGE_BYTES = 2000
"""The end of an assertion's message; the whole is in the step's output and in the file."""

MAX_COUNT = 1_000_000
"""More tests than any project has."""

NAMED = 5
"""Failed tests that `danube explain` and a commit status name; the others are counted."""

HISTORY_JOBS = 20
"""The newest jobs of a pipeline with reports in which a failed test is looked up."""


class CaseStatus(StrEnum):
    """FLAKY: it failed, and passed when it was repeated in the same job; it counts as passed."""

    FAILED = "failed"
    FLAKY = "flaky"
    PASSED = "passed"


class ReportedTest(Record):
    """A test that a report names. file, line: where it is, "" and 0 where that is not known."""

    name: str
    status: CaseStatus
    seconds: float
    message: str = ""
    file: str = ""
    line: int = 0


class ReportCounts(Record):
    """The counts of one report, and the names of its first failed tests. sequence: of the coordinator's call."""

    sequence: int
    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...] = ()


class JobReport(Record):
    """One report of a job."""

    counts: ReportCounts
    cases: tuple[ReportedTest, ...]


class PastResult(Record):
    """A test in an earlier job with a report of its pipeline."""

    job_id: str
    commit_sha: str
    failed: bool


class ReportStore(Protocol):
    """The tests that reports name, by job."""

    async def add_report(self, job_id: str, report: JobReport) -> None:
        """Idempotent by (job, sequence)."""
        ...

    async def list_cases(self, job_id: str) -> Sequence[ReportedTest]:
        """Failed tests first, then flaky ones, then the slowest."""
        ...

    async def past_results(self, job_id: str, name: str) -> Sequence[PastResult]:
        """That test in the newest HISTORY_JOBS jobs of the same pipeline up to this one that had reports, newest
        first. A test that is not among the failed ones of a job has not failed in it."""
        ...


def summary_of_tests(reports: Sequence[ReportCounts]) -> str:
    """ "3 of 120 tests failed: a, b, c"; "" for a job without a report."""
    if not reports:
        return ""
    passed, failed = sum(one.passed for one in reports), sum(one.failed for one in reports)
    count = passed + failed
    if not failed:
        skipped = sum(one.skipped for one in reports)
        return f"{count} test{'' if count == 1 else 's'} passed{f', {skipped} skipped' if skipped else ''}"
    names = [name for one in reports for name in one.failures][:NAMED]
    more = f" and {failed - len(names)} more" if failed > len(names) else ""
    return f"{failed} of {count} tests failed: {', '.join(names)}{more}"


def is_flaky(now: CaseStatus, past: Sequence[PastResult]) -> bool:
    """Whether a test both failed and passed on one commit, in this job or in two jobs."""
    results: dict[str, set[bool]] = {}
    for one in past:
        if one.commit_sha:
            results.setdefault(one.commit_sha, set()).add(one.failed)
    return now is CaseStatus.FLAKY or any(len(found) == 2 for found in results.values())
