"""Reports of tests: shown on the job's page, failures first, and in `danube explain`."""

import glob
import os
from dataclasses import dataclass

from danube._errors import DanubeError
from danube._junit import FAILED, read_reports
from danube._legs import current_leg
from danube._session import current
from danube._texts import check_texts

NAMED = 5
"""Failed tests in a message; the others are counted."""


@dataclass(frozen=True)
class ReportSummary:
    """The counts of a report. A test that failed and passed when it was repeated counts as passed.

    failures: the names of its failed tests, at most 200.
    """

    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...]


def junit(path: str, *, fail: bool = False, required: bool = True) -> ReportSummary:
    """Report the tests of JUnit XML files, as pytest, Maven, Gradle, Jest, cargo-nextest, gotestsum and others write
    them, and return their counts.

        try:
            step.run("pytest --junit-xml=report.xml", name="Tests")
        finally:
            reports.junit("report.xml", required=False)

    path: relative to `/workspace`, that of the leg in an isolated leg of a matrix; may be a pattern (`**/report.xml`).
    fail: raise DanubeError where a test failed, which ends the job as `tests-failed`. Without it a report never changes
        how the job ends.
    required: raise DanubeError where no file matches.

    In a leg of a matrix the tests' names begin with the leg's. Raises DanubeError for a file that is not such a report.
    """
    session, leg = current(), current_leg()
    check_texts("report-invalid", {"the path of a report": path})
    workspace = os.path.realpath(session.workspace if leg is None else leg.workspace)
    files = [file for file in sorted(glob.glob(os.path.join(workspace, path), recursive=True)) if os.path.isfile(file)]
    if not files and not required:
        return ReportSummary(0, 0, 0, ())
    if not files:
        hint = "let the test runner write it: pytest --junit-xml=report.xml; or pass required=False"
        raise DanubeError("report-missing", f"no file matches {path!r}", hint=hint)
    for file in files:
        if not os.path.realpath(file).startswith(f"{workspace}/"):
            what = f"{os.path.relpath(file, workspace)!r} leads out of the workspace"
            raise DanubeError("report-outside", what, hint="copy the file into the workspace in a step")
    try:
        read = read_reports(files, lambda file: os.path.relpath(file, workspace), f"{leg.name}: " if leg else "")
    except OSError as error:
        hint = "let the danubefile's user read it: chmod a+r"
        raise DanubeError("report-unreadable", "a report cannot be read", cause=str(error), hint=hint) from error
    session.report_tests(session.next_sequence("report"), read)
    failures = tuple(one.name for one in read.failures if one.status == FAILED)
    if fail and read.failed:
        raise _failed(read.failed, read.passed + read.failed, failures)
    return ReportSummary(read.passed, read.failed, read.skipped, failures)


def _failed(failed: int, count: int, failures: tuple[str, ...]) -> DanubeError:
    more = f" and {failed - NAMED} more" if failed > NAMED else ""
    what = f"{failed} of {count} tests failed: {', '.join(failures[:NAMED])}{more}"
    return DanubeError("tests-failed", what, hint="read their messages in the log")
