"""Nothing that a job hands over is stored with a secret in it: what is shown is masked, names are refused."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.core.errors import Conflict, Invalid, PlatformError
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import end_all
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Hang, plays
from tests.services.jobs.test_coordination import asked, running_job
from tests.support.engine import EngineSetup, open_engine_setup

SECRET = "correct-horse-battery"
FORMS = [SECRET, base64.b64encode(SECRET.encode()).decode(), SECRET.encode().hex()]


async def upload(setup: EngineSetup, job_id: str, name: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"content"

    await setup.coordination.receive_artifact(job_id, 1, name, name, chunks())


async def refused(setup: EngineSetup, job_id: str, form: str) -> None:
    """Hands the form over in every field that is stored or shown and cannot be masked."""
    plain = asked("true")
    requests: list[StepRequest] = [
        replace(plain, image=f"registry.test/app:{form}"),
        replace(plain, shell=f"bash -o {form}"),
        replace(plain, working_directory=f"/workspace/{form}"),
        replace(plain, environment={f"A_{form}": "x"}),
    ]
    for request in requests:
        with pytest.raises(Invalid, match="holds a secret") as refusal:
            await setup.coordination.run_step(job_id, request)
        assert form not in str(refusal.value)
    with pytest.raises(Invalid, match="the name of an artifact holds a secret"):
        await upload(setup, job_id, f"art-{form}")
    with pytest.raises(Invalid, match="the name of a secret holds a secret"):
        await setup.coordination.read_secret(job_id, 1, f"A_{form}")


def stored(path: Path) -> bytes:
    """All bytes, and the names, of what the server has written; secrets themselves are encrypted."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return b"".join([*(file.read_bytes() for file in files), *(str(file).encode() for file in files)])


@pytest.mark.parametrize("form", FORMS)
async def test_a_secret_in_a_name_is_refused_and_stored_nowhere(tmp_path: Path, form: str) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), SECRET.encode(), "me")
        job_id = await running_job(setup)
        await refused(setup, job_id, form)
        await upload(setup, job_id, "plain")
        assert form.encode() not in stored(tmp_path)
        assert b"plain" in stored(tmp_path)


async def test_an_image_that_became_a_secret_later_is_still_the_same_call(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["true"] = plays()
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        request = replace(asked("true"), working_directory="/workspace/later")
        first = await setup.coordination.run_step(job_id, request)
        await setup.secrets.set(SecretName(None, "HOST"), b"later", "me")
        assert await setup.coordination.run_step(job_id, request) == first


@pytest.mark.parametrize("field", ["command", "environment", "working_directory"])
async def test_a_running_call_that_is_repeated_with_another_content_is_refused(tmp_path: Path, field: str) -> None:
    machine = FakeMachine()
    machine.commands["true"] = plays(Hang())
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        call = asyncio.create_task(setup.coordination.run_step(job_id, asked("true")), name="call")
        await setup.engine.active_job(job_id).wait_until(
            lambda job: [step.phase for step in job.steps[1:]] == [StepPhase.STARTED]
        )
        other: Any = {"command": "false", "environment": {"A": "b"}, "working_directory": "/tmp"}[field]
        with pytest.raises(Conflict, match="repeated with another content"):
            await setup.coordination.run_step(job_id, replace(asked("true"), **{field: other}))
        assert not call.done()
        await end_all(call)


async def test_no_message_of_a_refusal_has_the_secret(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), SECRET.encode(), "me")
        job_id = await running_job(setup)
        with pytest.raises(PlatformError) as refusal:
            await upload(setup, job_id, SECRET)
        error = refusal.value
        assert SECRET not in f"{error} {error.cause} {error.hint}"
        assert error.hint
