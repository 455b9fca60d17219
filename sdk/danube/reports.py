"""Reports of tests: shown on the job's page, failures first, and in `danube explain`."""

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from danube._coverage import read_coverage
from danube._errors import DanubeError
from danube._junit import FAILED, bounded, read_reports
from danube._legs import current_leg
from danube._session import AnnotationCall, CoverageCall, NoteCall, current
from danube._texts import check_texts, check_whole_numbers
from danube._workspace import is_left_out

NAMED = 5
"""Failed tests in a message; the others are counted."""

MAX_SUMMARY_BYTES = 64 * 1024
MAX_ANNOTATIONS = 200
MAX_ANNOTATION_BYTES = 2000
MAX_FILE_BYTES = 300
LEVELS = ("error", "warning", "notice")
_FIELDS: dict[str, str | int] = {"message": "", "file": "", "level": "error", "line": 0}


@dataclass(frozen=True)
class ReportSummary:
    """The counts of a report. A test that failed and passed when it was repeated counts as passed.

    failures: the names of its failed tests, at most 200.
    """

    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...]


@dataclass(frozen=True)
class CoverageSummary:
    """The lines of a coverage report: those that could be run, and those that were."""

    covered: int
    total: int

    @property
    def percent(self) -> float:
        """The share of the lines that could be run; 100 where there are none."""
        return 100 * self.covered / self.total if self.total else 100.0


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
    workspace, files = _files_of(path, required=required, example="pytest --junit-xml=report.xml")
    if not files:
        return ReportSummary(0, 0, 0, ())
    try:
        read = read_reports(files, lambda file: os.path.relpath(file, workspace), f"{leg.name}: " if leg else "")
    except OSError as error:
        raise _unreadable(error) from error
    session.report_tests(session.next_sequence("report"), read)
    failures = tuple(one.name for one in read.failures if one.status == FAILED)
    if fail and read.failed:
        raise _failed(read.failed, read.passed + read.failed, failures)
    return ReportSummary(read.passed, read.failed, read.skipped, failures)


def coverage(path: str, *, name: str = "coverage", required: bool = True) -> CoverageSummary:
    """Report the coverage of lines that Cobertura's XML or lcov's tracefiles state, and return its total.

        step.run("pytest --cov --cov-report=xml")
        if reports.coverage("coverage.xml").percent < 80:
            raise SystemExit("too little is covered")

    path: relative to `/workspace`, as of `junit`; the lines of several files are taken together.
    name: of the report, where a job has several.
    required: raise DanubeError where no file matches.

    It is shown on the job's page, in total and for the files with the most lines that were not run, and never changes
    how the job ends. Raises DanubeError for a file that is not such a report.
    """
    check_texts("report-invalid", {"the name of a report": name})
    workspace, files = _files_of(path, required=required, example="pytest --cov --cov-report=xml")
    try:
        read = read_coverage(files, lambda file: os.path.relpath(file, workspace))
    except OSError as error:
        raise _unreadable(error) from error
    if files:
        worst = tuple(read.worst())
        _add(coverage=CoverageCall(_bounded_name(name), read.covered, read.total, worst))
    return CoverageSummary(read.covered, read.total)


def summary(markdown: str) -> None:
    """Show a text on the job's page, in Markdown: headings, lists, tables, code, emphasis and links.

        reports.summary(f"## Release {version}\n\n| file | size |\n|---|---|\n| app.tar.gz | 12 MB |")

    HTML is shown as text, and images are not loaded. At most 64 KiB; longer texts are cut with a line that says so.
    """
    check_texts("report-invalid", {"the summary": markdown})
    if not markdown.strip():
        raise DanubeError("report-invalid", "the summary is empty", hint='reports.summary("## Result")')
    if len(markdown.encode()) > MAX_SUMMARY_BYTES:
        kept = markdown.encode()[: MAX_SUMMARY_BYTES - 100].decode(errors="ignore")
        markdown = f"{kept}\n\n(The summary was cut: it has more than 64 KiB.)"
    _add(summary=markdown.replace("\0", ""))


def annotation(message: str, *, file: str = "", line: int = 0, level: str = "error") -> None:
    """Report something about a place of the repository: shown on the job's page and in `danube explain`.

    message: of at most 2000 bytes; the rest is cut. file: relative to the repository. line: from 1; 0 for none.
    level: `error`, `warning` or `notice`. It never changes how the job ends. At most 50 calls of `summary`, `coverage`
        and `annotation` together count in a job; several annotations fit into one call of `annotations`.
    """
    annotations([{"message": message, "file": file, "line": line, "level": level}])


def annotations(found: Sequence[Mapping[str, str | int]]) -> None:
    """Report several at once, as a linter finds them: each a dict with `message`, and `file`, `line`, `level` as of
    `annotation`. At most 200; others are left out, and the last one says how many.
    """
    calls = tuple(_checked_annotation(dict(one)) for one in found)
    if len(calls) > MAX_ANNOTATIONS:
        left = len(calls) - MAX_ANNOTATIONS + 1
        calls = (*calls[: MAX_ANNOTATIONS - 1], AnnotationCall("notice", f"{left} more were left out", "", 0))
    if calls:
        _add(annotations=calls)


def _checked_annotation(one: dict[str, str | int]) -> AnnotationCall:
    message, file, level, line = (one.pop(key, other) for key, other in _FIELDS.items())
    if one or level not in LEVELS:
        what = f"an annotation has message, file, line and level ({', '.join(LEVELS)}), not {[*one] or level!r}"
        raise DanubeError("report-invalid", what, hint='reports.annotation("no such name", file="app.py", line=7)')
    check_texts("report-invalid", {"the message of an annotation": message, "the file of an annotation": file})
    check_whole_numbers("report-invalid", {"line": line})
    assert isinstance(line, int)
    number = line if 0 <= line < 10**8 else 0
    return AnnotationCall(
        str(level), bounded(str(message), MAX_ANNOTATION_BYTES), bounded(str(file), MAX_FILE_BYTES), number
    )


def _add(summary: str = "", coverage: CoverageCall | None = None, annotations: tuple[AnnotationCall, ...] = ()) -> None:
    session = current()
    session.add_note(NoteCall(session.next_sequence("note"), summary, coverage, annotations))


def _bounded_name(name: str) -> str:
    leg = current_leg()
    return bounded(f"{leg.name}: {name}" if leg is not None else name, MAX_FILE_BYTES)


def _files_of(path: str, *, required: bool, example: str) -> tuple[str, list[str]]:
    """The workspace and the files that a path matches there. Raises DanubeError."""
    session, leg = current(), current_leg()
    check_texts("report-invalid", {"the path of a report": path})
    workspace = os.path.realpath(session.workspace if leg is None else leg.workspace)
    files = [file for file in sorted(glob.glob(os.path.join(workspace, path), recursive=True)) if os.path.isfile(file)]
    if not files and required and not is_left_out(f"report {path}"):
        hint = f"let the test runner write it: {example}; or pass required=False"
        raise DanubeError("report-missing", f"no file matches {path!r}", hint=hint)
    for file in files:
        if not os.path.realpath(file).startswith(f"{workspace}/"):
            what = f"{os.path.relpath(file, workspace)!r} leads out of the workspace"
            raise DanubeError("report-outside", what, hint="copy the file into the workspace in a step")
    return workspace, files


def _unreadable(error: OSError) -> DanubeError:
    hint = "let the danubefile's user read it: chmod a+r"
    return DanubeError("report-unreadable", "a report cannot be read", cause=str(error), hint=hint)


def _failed(failed: int, count: int, failures: tuple[str, ...]) -> DanubeError:
    more = f" and {failed - NAMED} more" if failed > NAMED else ""
    what = f"{failed} of {count} tests failed: {', '.join(failures[:NAMED])}{more}"
    return DanubeError("tests-failed", what, hint="read their messages in the log")
