"""What a job has reported beside its tests: summaries, coverage, annotations."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.jobs.report_notes import Annotation, AnnotationLevel, Coverage, ReportNote, sorted_annotations
from danube_pkg.core.jobs.reports import CaseStatus, ReportedTest
from danube_pkg.kit.records import Record


class FileCoverageView(Record):
    """The coverage of one file."""

    file: Annotated[str, about("The file, as the report names it.")]
    covered: Annotated[int, about("Lines that were run.")]
    total: Annotated[int, about("Lines that could be run.")]


class CoverageView(Record):
    """A report of coverage."""

    name: Annotated[str, about("The name that the danubefile gives it, behind the leg of a matrix where there is one.")]
    covered: Annotated[int, about("Lines that were run.")]
    total: Annotated[int, about("Lines that could be run.")]
    percent: Annotated[float, about("Of the lines that could be run.")]
    words: Annotated[str, about("The same in words.")]
    files: Annotated[tuple[FileCoverageView, ...], about("Those with the most lines that were not run, at most 200.")]


class AnnotationView(Record):
    """A message about a place of the repository."""

    level: Annotated[AnnotationLevel, about("How grave it is.")]
    message: Annotated[str, about("The message: text of a program of the job.")]
    file: Annotated[str, about("The file, relative to the repository; empty for none.")]
    line: Annotated[int, about("The line, from 1; 0 for none.")]


class JobNotes(Record):
    """All that a job has reported beside its tests."""

    summaries: Annotated[tuple[str, ...], about("Texts in Markdown, of untrusted programs: show HTML in them as text.")]
    coverage: Annotated[tuple[CoverageView, ...], about("Reports of coverage, in the order of the calls.")]
    annotations: Annotated[tuple[AnnotationView, ...], about("Errors first. Failed tests are in `/tests`.")]


def job_notes(notes: Sequence[ReportNote]) -> JobNotes:
    """In the order of the calls."""
    return JobNotes(
        summaries=tuple(one.summary for one in notes if one.summary),
        coverage=coverage_views(notes),
        annotations=annotation_views(notes, ()),
    )


def coverage_views(notes: Sequence[ReportNote]) -> tuple[CoverageView, ...]:
    """In the order of the calls."""
    return tuple(_coverage(one.coverage) for one in notes if one.coverage is not None)


def annotation_views(notes: Sequence[ReportNote], cases: Sequence[ReportedTest]) -> tuple[AnnotationView, ...]:
    """cases: the tests that the job has reported, of which failed ones with a file are annotations too."""
    failed = [one for one in cases if one.status is CaseStatus.FAILED and one.file]
    found = [Annotation(AnnotationLevel.ERROR, f"{one.name}: {one.message}", one.file, one.line) for one in failed]
    return tuple(
        AnnotationView(one.level, one.message, one.file, one.line) for one in (*found, *sorted_annotations(notes))
    )


def _coverage(one: Coverage) -> CoverageView:
    files = tuple(FileCoverageView(each.file, each.covered, each.total) for each in one.files)
    return CoverageView(one.name, one.covered, one.total, round(one.percent, 2), one.words, files)
