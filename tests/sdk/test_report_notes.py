"""Coverage, summaries and annotations: what is read, what is refused, and what is cut."""

from pathlib import Path

import pytest
from danube._session import AnnotationCall, CoverageCall

from danube import DanubeError, _coverage, reports
from tests.sdk.session import RecordingSession

COBERTURA = """<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5"><packages><package name="app"><classes>
<class name="a" filename="app/a.py"><methods><method name="f"><lines><line number="1" hits="1"/></lines></method></methods>
<lines><line number="1" hits="1"/><line number="2" hits="0"/><line number="3" hits="12"/></lines></class>
<class name="b" filename="app/b.py"><lines><line number="1" hits="0"/><line number="2" hits="0"/></lines></class>
</classes></package></packages></coverage>"""

LCOV = """TN:unit
SF:app/a.py
FN:1,f
DA:1,0
DA:2,4
LF:2
LH:1
end_of_record
"""


def test_the_lines_of_several_reports_are_taken_together(session: RecordingSession, tmp_path: Path) -> None:
    (tmp_path / "coverage.xml").write_text(COBERTURA)
    (tmp_path / "lcov.xml").write_text(LCOV)  # the content decides
    found = reports.coverage("*.xml", name="unit")
    assert (found.covered, found.total, found.percent) == (3, 5, 60.0)
    assert [one.coverage for one in session.notes] == [
        CoverageCall("unit", 3, 5, (("app/b.py", 0, 2), ("app/a.py", 3, 3))),
    ]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('<!DOCTYPE c [<!ENTITY a "b">]><coverage/>', "defines"),
        ("<testsuite/>", "its root is"),
        ("<coverage><class>", "no element found"),
        ("no report", "no record SF:"),
        ("SF:" + "x" * 300_000, "256 KiB"),
        ("", "no record SF:"),
    ],
)
def test_what_is_not_coverage_is_refused(session: RecordingSession, tmp_path: Path, content: str, cause: str) -> None:
    (tmp_path / "coverage.xml").write_text(content)
    with pytest.raises(DanubeError, match="neither a Cobertura report nor an lcov") as refusal:
        reports.coverage("coverage.xml")
    assert cause in refusal.value.cause
    assert session.notes == []


def test_files_lines_and_bytes_of_coverage_are_bounded(
    session: RecordingSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = "".join(f"SF:{n}\nDA:1,0\nDA:2,1\n" for n in range(300))
    (tmp_path / "lcov.info").write_text(many)
    assert reports.coverage("lcov.info").total == 600
    coverage = session.notes[0].coverage
    assert coverage is not None
    assert len(coverage.files) == 200
    for name, limit in (("MAX_FILES", 299), ("MAX_LINES", 599), ("MAX_FILE_BYTES", 1000)):
        with monkeypatch.context() as patched:
            patched.setattr(_coverage, name, limit)
            with pytest.raises(DanubeError, match="neither"):
                reports.coverage("lcov.info")


def test_missing_coverage_is_refused_unless_it_may_be_missing(session: RecordingSession) -> None:
    with pytest.raises(DanubeError, match="no file matches"):
        reports.coverage("coverage.xml")
    assert reports.coverage("coverage.xml", required=False).percent == 100.0
    assert session.notes == []


def test_a_summary_is_cut_and_not_empty(session: RecordingSession) -> None:
    reports.summary("## Done")
    reports.summary("ä" * 40_000)
    short, long = [one.summary for one in session.notes]
    assert short == "## Done"
    assert len(long.encode()) <= reports.MAX_SUMMARY_BYTES
    assert long.endswith("(The summary was cut: it has more than 64 KiB.)")
    with pytest.raises(DanubeError, match="empty"):
        reports.summary(" \n")


def test_annotations_have_a_place_and_a_level(session: RecordingSession) -> None:
    reports.annotation("no such name", file="app.py", line=7)
    reports.annotations([{"message": "x" * 3000, "level": "notice"}] * 201)
    assert session.notes[0].annotations == (AnnotationCall("error", "no such name", "app.py", 7),)
    many = session.notes[1].annotations
    assert (len(many), len(many[0].message), many[-1].message) == (200, 2000, "2 more were left out")


@pytest.mark.parametrize("wrong", [{"level": "fatal"}, {"column": 3}, {"line": "7"}, {"file": 7}])
def test_a_wrong_annotation_is_refused(session: RecordingSession, wrong: dict[str, str | int]) -> None:
    with pytest.raises(DanubeError) as refusal:
        reports.annotations([{"message": "a", **wrong}])
    assert refusal.value.reference == "report-invalid"
