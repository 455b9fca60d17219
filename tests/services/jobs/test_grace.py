"""The clean-up of a job that was cancelled: its steps are stopped, uploads and clean-up steps work, secrets do not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Exit, Hang, Print, plays
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup


def asked(command: str, sequence: int = 1, *, cleanup: bool = False) -> StepRequest:
    return StepRequest(sequence, command, command, "", {}, "/workspace", 0, 0, True, cleanup=cleanup)


def machine() -> FakeMachine:
    made = FakeMachine()
    made.commands.update(make=plays(Print(b"begun\n"), Hang()), clean=plays(Exit(0)))
    return made


async def running_job(setup: EngineSetup, grace_seconds: int) -> str:
    """A job whose coordinator hangs, so that the test calls in its place."""
    settings = replace(PIPELINE.settings, grace_seconds=grace_seconds)
    job = await setup.engine.submit(replace(PIPELINE, settings=settings), Trigger("manual", "me"))
    await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
    return job.id


async def ended(setup: EngineSetup, job_id: str) -> Status:
    async with setup.engine.watch(job_id) as states:
        async for job in states:
            last = job
    return last.status


async def test_a_cancelled_job_uploads_and_cleans_up_and_gets_no_secret(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, machine()) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"hunter22-hunter22", "me")
        job_id = await running_job(setup, grace_seconds=600)
        active = setup.engine.active_job(job_id)
        step = asyncio.create_task(setup.coordination.run_step(job_id, asked("make")), name="make")
        await active.wait_until(lambda job: bool(job.steps[1:]) and job.steps[1].status is Status.RUNNING)
        job = await setup.engine.cancel(job_id, "alice")
        assert (job.status, job.is_ending) == (Status.RUNNING, True)
        assert (await step).end.reason is Reason.CANCELLED
        with pytest.raises(Conflict, match="secrets cannot be read"):
            await setup.coordination.read_secret(job_id, 1, "TOKEN")
        with pytest.raises(Conflict, match="no identity token"):
            await setup.coordination.issue_id_token(job_id, "aud")
        with pytest.raises(Conflict, match="clean-up only"):
            await setup.coordination.run_step(job_id, asked("clean", 2))

        async def dump() -> AsyncIterator[bytes]:
            yield b"dump"

        await setup.coordination.receive_artifact(job_id, 1, "dump", "dump", dump())
        outcome = await setup.coordination.run_step(job_id, asked("clean", 3, cleanup=True))
        assert outcome.end.status is Status.SUCCESS
        await setup.coordination.finish(job_id, None)
        assert await ended(setup, job_id) is Status.CANCELLED
        log = setup.logs.path(job_id).read_text()
        assert "--- cancelled by alice: its steps are stopped, then at most 600 s for clean-up and uploads" in log


async def test_a_danubefile_that_does_not_return_ends_with_the_grace_period(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, machine()) as setup:
        job_id = await running_job(setup, grace_seconds=1)
        await setup.engine.cancel(job_id, "alice")
        assert await ended(setup, job_id) is Status.CANCELLED


async def test_a_second_cancel_ends_the_clean_up_also_after_a_restart(tmp_path: Path) -> None:
    hosts = machine()
    async with open_engine_setup(tmp_path, hosts, keep_pods=True) as setup:
        job_id = await running_job(setup, grace_seconds=600)
        await setup.engine.cancel(job_id, "alice")
    async with open_engine_setup(tmp_path, hosts) as setup:
        assert setup.engine.active_job(job_id).job.is_ending
        assert (await setup.engine.cancel(job_id, "bob")).cancelled_by == "alice"
        assert await ended(setup, job_id) is Status.CANCELLED
