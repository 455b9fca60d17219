"""Reports of tests: what is read of JUnit's XML, what is refused, and that they decide nothing unless asked to."""

import os
from pathlib import Path

import pytest
from danube._junit import MAX_FAILURES, MAX_MESSAGE_BYTES, MAX_SLOWEST

from danube import DanubeError, Leg, reports, step
from tests.sdk.session import RecordingSession

PYTEST = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="4" file="tests/test_a.py">
<testcase classname="tests.test_a" name="test_one" time="0.5" line="7"/>
<testcase classname="tests.test_a" name="test_two" time="1,000.25" file="other.py">
  <failure message="assert 1 == 2">def test_two(): ...</failure></testcase>
<testcase classname="tests.test_a" name="test_three" time="bad"><skipped message="later"/></testcase>
<testcase name="test_four"><error>no message,
but a text &amp; more</error></testcase>
</testsuite></testsuites>"""


def test_tests_are_read_with_their_place_and_message(session: RecordingSession, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(PYTEST)
    summary = reports.junit("*.xml")
    assert summary == reports.ReportSummary(1, 2, 1, ("tests.test_a.test_two", "test_four"))
    two, four = session.reports[1].failures
    assert (two.seconds, two.message, two.file, two.line) == (1000.25, "assert 1 == 2", "other.py", 0)
    assert (four.message, four.file) == ("no message,\nbut a text & more", "tests/test_a.py")
    (one,) = session.reports[1].slowest
    assert (one.name, one.status, one.line) == ("tests.test_a.test_one", "passed", 7)


REPEATED = """<testsuite><testcase name="a"><failure message="first"/></testcase><testcase name="a"/>
<testcase name="b"><flakyFailure message="once">trace</flakyFailure></testcase>
<testcase name="c"><failure message="x"/></testcase><testcase name="c"><failure message="y"/></testcase>
<testcase name="d"><skipped/></testcase><testcase name="d"/></testsuite>"""


def test_a_test_that_failed_and_passed_when_repeated_is_flaky(session: RecordingSession, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPEATED)
    summary = reports.junit("report.xml")
    assert (summary.passed, summary.failed, summary.failures) == (3, 1, ("c",))
    assert [(one.name, one.status, one.message) for one in session.reports[1].failures] == [
        ("c", "failed", "x"),
        ("a", "flaky", "first"),
        ("b", "flaky", "once"),
    ]


def test_a_report_fails_a_job_only_on_request(session: RecordingSession, tmp_path: Path) -> None:
    cases = "".join(f'<testcase name="t{n}"><failure/></testcase>' for n in range(7))
    (tmp_path / "report.xml").write_text(f"<testsuite>{cases}</testsuite>")
    assert reports.junit("report.xml").failed == 7
    with pytest.raises(DanubeError) as failure:
        reports.junit("report.xml", fail=True)
    assert failure.value.reference == "tests-failed"
    assert failure.value.what == "7 of 7 tests failed: t0, t1, t2, t3, t4 and 2 more"
    assert set(session.reports) == {1, 2}


def test_what_is_sent_is_bounded(session: RecordingSession, tmp_path: Path) -> None:
    failing = "".join(
        f'<testcase name="{n:05}{"x" * 500}"><failure message="{"m" * 9000}"/></testcase>' for n in range(300)
    )
    passing = "".join(f'<testcase name="p{n}" time="{n}"/>' for n in range(300))
    (tmp_path / "report.xml").write_text(f"<testsuite>{failing}{passing}</testsuite>")
    assert reports.junit("report.xml").failed == 300
    sent = session.reports[1]
    assert (len(sent.failures), len(sent.slowest)) == (MAX_FAILURES, MAX_SLOWEST)
    assert {len(one.message) for one in sent.failures} == {MAX_MESSAGE_BYTES}
    assert sent.slowest[0].name == "p299"


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'
OUTSIDE = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>'


@pytest.mark.parametrize(
    "text", [BOMB, OUTSIDE, "", "<html/>", "<testsuite>", "no XML", "<testsuite>&undefined;</testsuite>"]
)
def test_what_is_not_a_report_is_refused(session: RecordingSession, tmp_path: Path, text: str) -> None:
    (tmp_path / "report.xml").write_text(text)
    with pytest.raises(DanubeError, match="is not a JUnit report") as refusal:
        reports.junit("report.xml")
    assert refusal.value.reference == "report-invalid"
    assert refusal.value.cause
    assert session.reports == {}


def test_a_missing_report_is_refused_unless_it_may_be_missing(session: RecordingSession) -> None:
    with pytest.raises(DanubeError, match="no file matches"):
        reports.junit("none.xml")
    assert reports.junit("none.xml", required=False) == reports.ReportSummary(0, 0, 0, ())


def test_a_link_out_of_the_workspace_is_refused(session: RecordingSession, tmp_path: Path) -> None:
    workspace = tmp_path / "inner"
    workspace.mkdir()
    session._workspace = workspace
    (tmp_path / "report.xml").write_text(PYTEST)
    os.symlink(tmp_path / "report.xml", workspace / "report.xml")
    with pytest.raises(DanubeError, match="leads out of the workspace"):
        reports.junit("report.xml")


def test_the_tests_of_a_leg_have_its_name(session: RecordingSession, tmp_path: Path) -> None:
    session.leg_workspaces = str(tmp_path / "legs")
    (tmp_path / "legs/1").mkdir(parents=True)
    (tmp_path / "legs/1/report.xml").write_text(PYTEST)

    def body(leg: Leg) -> None:
        reports.junit("report.xml")

    step.matrix(body, python=["3.11"], isolated=True)
    assert session.reports[1].failures[0].name == "python=3.11: tests.test_a.test_two"
