"""Steps that their supervisor does not end: the server ends their container, before it records their end."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.core.jobs.coordination import StepOutcome, StepRequest
from danube_pkg.core.jobs.job import step_id
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.services.jobs import follower
from danube_pkg.services.jobs.effects import stop_steps
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Hang, IgnoreKill, Print, plays
from tests.services.jobs.test_coordination import closed, running_job
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A machine with a command that no signal ends, for a server with short graces."""
    monkeypatch.setattr(follower, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(follower, "OVERDUE_SECONDS", 0.1)
    monkeypatch.setattr(stop_steps, "STOP_SECONDS", 0.2)
    made = FakeMachine()
    made.commands["deaf"] = plays(Print(b"begin\n"), IgnoreKill(), Hang())
    made.commands["other"] = plays(Hang())
    return made


def request(sequence: int, command: str, timeout_seconds: int = 0) -> StepRequest:
    return StepRequest(sequence, command, command, "", {}, "/workspace", timeout_seconds, 0, True)


async def run(setup: EngineSetup, job_id: str, *requests: StepRequest) -> list[StepOutcome]:
    return list(await asyncio.gather(*(setup.coordination.run_step(job_id, one) for one in requests)))


async def test_a_step_that_its_supervisor_does_not_end_is_ended_with_its_container(
    tmp_path: Path, machine: FakeMachine
) -> None:
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        deaf, other = await run(setup, job_id, request(1, "deaf", timeout_seconds=1), request(2, "other"))
        pod_id = setup.engine.active_job(job_id).job.pod_id
        assert [known.container.number for known in machine.living(pod_id)] == [0], "the coordinator continues"
    assert (deaf.end.status, deaf.end.reason) == (Status.TIMEOUT, Reason.STEP_TIMEOUT)
    assert deaf.end.message == "took longer than its 1 s and was ended with its container"
    assert (other.end.status, other.end.reason) == (Status.FAILURE, Reason.POD_LOST)
    assert other.end.message == "its container was ended, since step 1 did not end after its timeout"


async def test_a_job_does_not_end_before_the_containers_of_steps_that_could_not_be_stopped(
    tmp_path: Path, machine: FakeMachine
) -> None:
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        running = asyncio.create_task(run(setup, job_id, request(1, "deaf")), name="deaf step")
        await wait_until_async(lambda: machine.starts[step_id(job_id, 1), 1], 10, "the step to start")
        pod_id = setup.engine.active_job(job_id).job.pod_id
        await setup.engine.cancel(job_id, "me")
        [deaf] = await running
        living = [known.container.number for known in machine.living(pod_id)]
        assert 1 not in living, "its end was true when it was known"
        await closed(setup, job_id)
    assert (deaf.end.status, deaf.end.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert deaf.end.message.startswith("stopped with its job")
    assert machine.defects == []
