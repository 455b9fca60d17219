"""What a danubefile reports beside its tests: summaries in Markdown, coverage of lines, and annotations of files.

They decide nothing. All texts come from programs of the job: they are bounded and masked, and the page and other
clients must treat them as untrusted.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from danube_pkg.core.errors import Conflict
from danube_pkg.kit.records import Record

MAX_NOTES = 50
"""Calls of one job that report a summary, coverage or annotations."""

MAX_SUMMARY_BYTES = 64 * 1024
MAX_COVERED_FILES = 200
"""Files of one coverage report that are named, those with the most lines that are not covered."""

MAX_ANNOTATIONS = 200
"""The annotations of one job; a tool that finds more is best read in its own output."""

MAX_ANNOTATION_BYTES = 2000
SHOWN = 5
"""Annotations that `danube explain` names; the others are counted."""


class AnnotationLevel(StrEnum):
    """How grave it is. It decides nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Annotation(Record):
    """A message about a place. file: relative to the repository, "" for none; line: counts from 1, 0 for none."""

    level: AnnotationLevel
    message: str
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """`tests/a.py:7`."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file


class FileCoverage(Record):
    """Lines of one file that could be run, and those that were."""

    file: str
    covered: int
    total: int


class Coverage(Record):
    """Lines of all files of a report. files: those with the most lines that are not covered."""

    name: str
    covered: int
    total: int
    files: tuple[FileCoverage, ...] = ()

    @property
    def percent(self) -> float:
        """100 for a report without a line."""
        return 100 * self.covered / self.total if self.total else 100.0

    @property
    def words(self) -> str:
        """ "81.2 % of 1197 lines"; never rounded up to 100."""
        shown = min(round(self.percent, 1), 99.9) if self.covered < self.total else 100.0
        return f"{shown:g} % of {self.total} line{'' if self.total == 1 else 's'}"


class ReportNote(Record):
    """One call. sequence: its number, with which it may be repeated. summary: Markdown."""

    sequence: int
    summary: str = ""
    coverage: Coverage | None = None
    annotations: tuple[Annotation, ...] = ()


class ReportNotes(Protocol):
    """What jobs have reported so, in the order of the calls."""

    async def add_note(self, job_id: str, note: ReportNote) -> None:
        """Idempotent by (job, sequence)."""
        ...

    async def list_notes(self, job_id: str) -> Sequence[ReportNote]: ...


def check_room(known: Sequence[ReportNote], note: ReportNote) -> None:
    """Raises Conflict for one call too many, or too many annotations."""
    if len(known) >= MAX_NOTES:
        hint = "report the findings of a tool in one call: reports.annotations([…])"
        raise Conflict("too-many-reports", f"a job has at most {MAX_NOTES} summaries and notes", hint=hint)
    if sum(len(one.annotations) for one in (*known, note)) > MAX_ANNOTATIONS:
        hint = "keep the whole as an artifact: artifacts.upload(PATH, name=NAME)"
        raise Conflict("too-many-reports", f"a job has at most {MAX_ANNOTATIONS} annotations", hint=hint)


def note_lines(notes: Sequence[ReportNote]) -> list[str]:
    """Sentences about coverage and annotations, for `danube explain`."""
    lines = [f"{one.coverage.name}: {one.coverage.words}." for one in notes if one.coverage is not None]
    found = sorted_annotations(notes)
    for one in found[:SHOWN]:
        lines.append(f"{one.level} {f'in {one.place}' if one.place else 'reported'}: {one.message}")
    if len(found) > SHOWN:
        lines.append(f"{len(found) - SHOWN} more annotations: danube jobs JOB --json, or the job's page.")
    return lines


def sorted_annotations(notes: Sequence[ReportNote]) -> Sequence[Annotation]:
    """Errors first, then warnings; otherwise as they were reported."""
    order = {level: at for at, level in enumerate(AnnotationLevel)}
    return sorted((each for one in notes for each in one.annotations), key=lambda each: order[each.level])
