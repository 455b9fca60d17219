"""Summaries, coverage and annotations that a coordinator sends: bounds and shapes are checked before they are kept."""

import pytest
from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.errors import PlatformError
from danube_pkg.core.jobs.report_notes import Annotation, AnnotationLevel, Coverage, FileCoverage, ReportNote
from danube_pkg.edges.grpc.messages import report_note


def test_a_note_is_what_was_sent() -> None:
    sent = pb.Note(
        sequence=1,
        summary="# a",
        coverage=pb.Coverage(name="unit", covered=1, total=2, files=[pb.FileCoverage(file="a", covered=1, total=2)]),
        annotations=[pb.Annotation(level="warning", message="b", file="c", line=3)],
    )
    assert report_note(sent) == ReportNote(
        1,
        "# a",
        Coverage("unit", 1, 2, (FileCoverage("a", 1, 2),)),
        (Annotation(AnnotationLevel.WARNING, "b", "c", 3),),
    )
    assert report_note(pb.Note(sequence=1)).coverage is None


@pytest.mark.parametrize(
    "note",
    [
        pb.Note(sequence=0),
        pb.Note(sequence=1, summary="x" * 65537),
        pb.Note(sequence=1, coverage=pb.Coverage(covered=2, total=1)),
        pb.Note(sequence=1, coverage=pb.Coverage(files=[pb.FileCoverage()] * 201)),
        pb.Note(sequence=1, coverage=pb.Coverage(files=[pb.FileCoverage(file="x" * 301)])),
        pb.Note(sequence=1, annotations=[pb.Annotation(level="error")] * 201),
        pb.Note(sequence=1, annotations=[pb.Annotation(level="fatal")]),
        pb.Note(sequence=1, annotations=[pb.Annotation(level="error", message="x" * 2001)]),
    ],
)
def test_a_note_beyond_its_bounds_is_refused(note: pb.Note) -> None:
    with pytest.raises(PlatformError) as refusal:
        report_note(note)
    assert refusal.value.hint
