"""Rebuilds: the same again with nothing from outside, compared and attested."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.adapters.keys.signing import is_signed_by
from danube_pkg.core.errors import Conflict, Forbidden, Permanent
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Rebuild, Trigger
from danube_pkg.core.provenance.envelope import read_envelopes
from danube_pkg.core.provenance.rebuilds import REBUILD_TYPE
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import rebuild
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Print, plays
from tests.fakes.runtime import fake_digest
from tests.services.jobs.test_coordination import asked
from tests.services.provenance.test_statements import ended
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup

IMAGE = "node:20"
TRIGGER = Trigger("manual", "me", Revision("c0ffee" + "0" * 34, "refs/heads/main", "main"))


async def running_job(setup: EngineSetup) -> str:
    """A job of a commit whose coordinator hangs, so that the test calls in its place."""
    job = await setup.engine.submit(PIPELINE, TRIGGER)
    await setup.engine.active_job(job.id).wait_until(lambda one: one.phase is Phase.RUNNING)
    return job.id


async def build(setup: EngineSetup, job_id: str, content: bytes, *, secret: bool = False) -> Job:
    """What the pipeline function does: a step, perhaps a secret, an artifact."""
    await setup.coordination.run_step(job_id, replace(asked("make"), image=IMAGE))
    if secret:
        await setup.coordination.read_secret(job_id, 2, "TOKEN")

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await setup.coordination.receive_artifact(job_id, 3, "app", "app", chunks())
    return await ended(setup, job_id)


async def rebuilding(setup: EngineSetup, job: Job, *secrets: str) -> str:
    again = await rebuild(setup.engine, setup.secrets, job, "alice", with_secrets=secrets)
    await setup.engine.active_job(again.id).wait_until(lambda one: one.phase is Phase.RUNNING)
    return again.id


def a_machine() -> FakeMachine:
    machine = FakeMachine()
    machine.images |= {IMAGE, f"{IMAGE}@{fake_digest(IMAGE)}"}
    machine.commands["make"] = plays(Print(b"made\n"))
    return machine


async def test_the_same_outputs_are_attested_by_a_second_statement(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, a_machine()) as setup:
        job = await build(setup, await running_job(setup), b"built")
        again = await build(setup, await rebuilding(setup, job), b"built")
        (compared,) = await setup.statements.compare(again)
        envelopes = read_envelopes((await setup.statements.of(again)).envelope)
        keys = setup.signing.public_keys()
        assert len(read_envelopes((await setup.statements.of(job)).envelope)) == 1
    assert again.trigger.rebuild == Rebuild(job.id, {IMAGE: fake_digest(IMAGE)})
    assert (again.settings, again.trigger.revision) == (job.settings, job.trigger.revision)
    assert compared.is_same
    provenance, second = (json.loads(one.payload) for one in envelopes)
    assert provenance["predicate"]["buildDefinition"]["externalParameters"]["trigger"]["rebuildOf"] == job.id
    assert second["predicateType"] == REBUILD_TYPE
    assert second["subject"] == provenance["subject"]
    assert second["predicate"]["original"]["job"] == job.id
    assert all(is_signed_by(keys[0], one.signatures[0].value, one.signed_bytes) for one in envelopes)


async def test_different_outputs_are_shown_and_not_attested(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, a_machine()) as setup:
        job = await build(setup, await running_job(setup), b"built")
        again = await build(setup, await rebuilding(setup, job), b"built at another time")
        (compared,) = await setup.statements.compare(again)
        envelopes = read_envelopes((await setup.statements.of(again)).envelope)
        with pytest.raises(Conflict, match="is not a rebuild"):
            await setup.statements.compare(job)
    assert again.status is Status.SUCCESS
    assert (compared.name, compared.is_same) == ("app", False)
    assert len(envelopes) == 1


async def test_a_rebuild_gets_nothing_from_outside(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, a_machine()) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"a secret value", "alice")
        await setup.secrets.set(SecretName(None, "OTHER"), b"another value", "alice")
        job = await build(setup, await running_job(setup), b"built", secret=True)
        with pytest.raises(Conflict, match="without the secrets that it read: TOKEN") as refusal:
            await rebuild(setup.engine, setup.secrets, job, "alice")
        assert refusal.value.hint == f"danube rebuild {job.id} --with-secrets TOKEN"
        again = await rebuilding(setup, job, "TOKEN")
        assert await setup.coordination.read_secret(again, 2, "TOKEN") == b"a secret value"
        with pytest.raises(Forbidden, match="may not read the secret 'OTHER'"):
            await setup.coordination.read_secret(again, 4, "OTHER")
        with pytest.raises(Permanent, match="gets no identity token"):
            await setup.coordination.issue_id_token(again, "https://cloud.example.org")
        await ended(setup, again)


async def test_only_green_jobs_are_rebuilt(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, a_machine()) as setup:
        red = await ended(setup, await running_job(setup), ScriptFailure(Reason.SCRIPT_ERROR, "line 3"))
        green = await build(setup, await running_job(setup), b"built")
        again = await build(setup, await rebuilding(setup, green), b"built")
        for job in (red, again):
            with pytest.raises(Conflict, match="cannot be rebuilt"):
                await rebuild(setup.engine, setup.secrets, job, "alice")
