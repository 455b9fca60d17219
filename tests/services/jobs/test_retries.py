"""Further attempts of a step: after a pause, each with a record and a section of the log, until the step is stopped."""

import asyncio
from pathlib import Path

from danube_pkg.core.reasons import Reason
from danube_pkg.kit.records import replace
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Exit, Print, attempts, plays
from tests.services.jobs.test_coordination import asked, running_job
from tests.support.engine import open_engine_setup
from tests.support.waiting import wait_until_async


async def test_attempts_have_a_pause_between_them_a_record_and_a_section_each(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["flaky"] = attempts(plays(Print(b"first\n"), Exit(75)), plays(Print(b"second\n"), Exit(1)))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        request = replace(asked("flaky", retries=3), retry_delay_seconds=1, retry_on=("75",))
        outcome = await setup.coordination.run_step(job_id, request)
        assert (outcome.attempt, outcome.end.exit_code, outcome.output) == (2, 1, b"second\n")
        job = setup.engine.active_job(job_id).job
        assert ['"attempt":1' in one.content for one in job.records[:2]] == [True, False]
        step = job.steps[1]
        assert step.next_attempt_at is not None
        assert step.started_at is not None
        log = setup.logs.path(job_id)
        await wait_until_async(lambda: "exit code 1 (attempt 2 of 4)" in log.read_text(), 10, "the second section")
        lines = [
            line.split(" in 0.")[0] for line in log.read_text().splitlines() if "step 1" in line or line.endswith("t")
        ]
        assert lines[:2] == ['--- step 1 "step" (host)', "first"]
        assert "exit code 75 (attempt 1 of 4, the next follows after 1 s)" in log.read_text()
        assert '--- step 1 "step" (host), attempt 2' in lines


async def test_a_pause_before_an_attempt_ends_with_its_job(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["flaky"] = plays(Exit(1))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        request = replace(asked("flaky", retries=1), retry_delay_seconds=3600)
        waiting = asyncio.create_task(setup.coordination.run_step(job_id, request), name="flaky")
        await setup.engine.active_job(job_id).wait_until(lambda job: job.steps[-1].attempt == 2)
        await setup.coordination.stop_step(job_id, 1)
        assert (await waiting).end.reason is Reason.STOPPED
