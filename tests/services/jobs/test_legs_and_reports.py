"""A coordinator's calls for a matrix and for reports of tests."""

from pathlib import Path

import pytest

from danube_pkg.adapters.store import SqliteReports
from danube_pkg.core.errors import Conflict, NotFound
from danube_pkg.core.jobs import step_transitions
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.report_notes import Annotation, AnnotationLevel, Coverage, ReportNote
from danube_pkg.core.jobs.reports import CaseStatus, JobReport, ReportCounts, ReportedTest
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Exit, plays
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup


def asked(command: str) -> StepRequest:
    return StepRequest(1, "step", command, "", {}, "/workspace", 0, 0, True)


async def running_job(setup: EngineSetup) -> str:
    """A job whose coordinator hangs, so that the test calls in its place."""
    job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
    await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
    return job.id


async def test_the_steps_of_an_isolated_leg_have_containers_of_their_own(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Exit(0))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        for sequence, isolation in enumerate((0, 1, 2, 1), 1):
            leg = f"n={isolation}" if isolation else ""
            request = replace(asked("make"), sequence=sequence, leg=leg, isolation=isolation)
            await setup.coordination.run_step(job_id, request)
        stored = await setup.jobs.load_job(job_id)
        assert stored is not None
        steps = [stored.step(sequence) for sequence in (1, 2, 3, 4)]
        assert [(step.leg, step.isolation) for step in steps if step] == [("", 0), ("n=1", 1), ("n=2", 2), ("n=1", 1)]
        containers = [step.container for step in steps if step]
        assert containers[1] == containers[3]
        assert len(set(containers)) == 3
        with pytest.raises(Conflict, match="another content"):
            await setup.coordination.run_step(job_id, replace(asked("make"), isolation=1))


async def test_reported_tests_are_kept_masked_and_logged(tmp_path: Path) -> None:
    machine = FakeMachine()
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        await setup.secrets.set(SecretName(None, "TOKEN"), b"hunter22-hunter22", "me")
        await setup.coordination.read_secret(job_id, 1, "TOKEN")
        case = ReportedTest("tests.a", CaseStatus.FAILED, 1.5, "got hunter22-hunter22", "tests/a.py", 7)
        report = JobReport(ReportCounts(1, 3, 1, 0, ("tests.a",)), (case,))
        for _ in range(2):  # a repeated call
            await setup.coordination.report_tests(job_id, report)
        stored = await setup.jobs.load_job(job_id)
        assert stored is not None
        assert stored.reports == (report.counts,)
        (kept,) = await SqliteReports(setup.database).list_cases(job_id)
        assert "hunter22" not in kept.message
        assert (kept.file, kept.line) == ("tests/a.py", 7)
        await setup.coordination.finish(job_id, None)
        with pytest.raises((Conflict, NotFound)):
            await setup.coordination.report_tests(job_id, report)


async def test_summaries_coverage_and_annotations_are_masked_bounded_and_logged(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        await setup.secrets.set(SecretName(None, "TOKEN"), b"hunter22-hunter22", "me")
        await setup.coordination.read_secret(job_id, 1, "TOKEN")
        found = Annotation(AnnotationLevel.ERROR, "got hunter22-hunter22", "a.py", 7)
        note = ReportNote(1, "# hunter22-hunter22", Coverage("unit", 999, 1000), (found,))
        for _ in range(2):  # a repeated call
            await setup.coordination.add_note(job_id, note)
        (kept,) = await SqliteReports(setup.database).list_notes(job_id)
        assert (kept.summary, kept.annotations[0].message) == ("# ***", "got ***")
        log = setup.logs.path(job_id).read_text()
        assert "--- unit: 99.9 % of 1000 lines\n" in log
        assert "--- error a.py:7: got ***\n" in log
        with pytest.raises(Conflict, match="at most 200 annotations") as refusal:
            await setup.coordination.add_note(job_id, ReportNote(2, annotations=(found,) * 200))
        assert refusal.value.hint
        for sequence in range(2, 51):
            await setup.coordination.add_note(job_id, ReportNote(sequence, "more"))
        with pytest.raises(Conflict, match="at most 50"):
            await setup.coordination.add_note(job_id, ReportNote(51, "one more"))


async def test_a_report_beyond_the_bound_is_refused_and_stored_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_transitions, "MAX_REPORTS", 2)
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        for sequence in (1, 2, 3, 1):
            case = ReportedTest(f"tests.{sequence}", CaseStatus.PASSED, 1.0, "", "tests/a.py", 7)
            report = JobReport(ReportCounts(sequence, 1, 0, 0, ()), (case,))
            if sequence == 3:
                with pytest.raises(Conflict, match="a job has at most 2 reports"):
                    await setup.coordination.report_tests(job_id, report)
            else:
                await setup.coordination.report_tests(job_id, report)
        rows = setup.database.read("SELECT name FROM reported_tests ORDER BY name")
        assert [row["name"] for row in rows] == ["tests.1", "tests.2"]
