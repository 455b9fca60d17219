"""Identity tokens through the coordination: issued to running, trusted jobs, and masked from then on."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from danube_pkg.core.errors import Conflict, NotFound, Permanent, TooLarge
from danube_pkg.core.jobs.events import Approved
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs import coordination as coordination_module
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import PrintVariable, plays
from tests.services.jobs.test_coordination import asked, closed, running_job
from tests.services.stores import PIPELINE
from tests.support.engine import open_engine_setup

ISSUER = "https://ci.example.org"


async def test_a_job_gets_a_token_that_its_log_never_shows(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["print"] = plays(PrintVariable("TOKEN", 9, 0.0))
    async with open_engine_setup(tmp_path, machine, external_url=ISSUER) as setup:
        job_id = await running_job(setup)
        token = await setup.coordination.issue_id_token(job_id, "vault")
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert (claims["iss"], claims["aud"], claims["job"]) == (ISSUER, "vault", job_id)
        await setup.coordination.run_step(job_id, replace(asked("print"), environment={"TOKEN": token}))
        await setup.coordination.finish(job_id, None)
        await closed(setup, job_id)
        log = setup.logs.path(job_id).read_text()
        with pytest.raises((Conflict, NotFound)):  # a closed job is in memory for a moment longer
            await setup.coordination.issue_id_token(job_id, "vault")
    assert "--- identity token for vault" in log
    assert "***" in log
    assert token not in log
    assert token.split(".")[2] not in log


async def test_an_approved_proposal_gets_none(tmp_path: Path) -> None:
    trigger = Trigger("webhook", "mallory", Revision("c" * 40), pull_request={"number": 1, "trusted": False})
    async with open_engine_setup(tmp_path, FakeMachine(), external_url=ISSUER) as setup:
        job = await setup.engine.submit(PIPELINE, trigger)
        waiting = setup.engine.active_job(job.id)
        await waiting.apply(Approved("ada", "c" * 40))
        setup.engine.wake_scheduler()
        await waiting.wait_until(lambda job: job.phase is Phase.RUNNING)
        with pytest.raises(Permanent) as refusal:
            await setup.coordination.issue_id_token(job.id, "vault")
        assert refusal.value.reference == "id-token-untrusted"


async def test_a_job_that_is_ending_gets_none(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, FakeMachine(), external_url=ISSUER) as setup:
        job_id = await running_job(setup)
        active = setup.engine.active_job(job_id)
        finish = asyncio.create_task(setup.coordination.finish(job_id, None), name="finish")
        await active.wait_until(lambda job: job.phase is not Phase.RUNNING)
        with pytest.raises(Conflict, match="is ending"):
            await setup.coordination.issue_id_token(job_id, "vault")
        await finish


async def test_a_server_without_a_url_says_what_to_set(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, FakeMachine()) as setup:
        with pytest.raises(Permanent) as refusal:
            await setup.coordination.issue_id_token(await running_job(setup), "vault")
        assert "external_url" in refusal.value.hint


async def test_a_job_gets_so_many_tokens_and_no_more_and_each_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log has one set for all of them, beside that of the pipeline's secrets."""
    monkeypatch.setattr(coordination_module, "MAX_ID_TOKENS", 5)
    async with open_engine_setup(tmp_path, FakeMachine(), external_url=ISSUER) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"correct-horse-battery", "me")
        job_id = await running_job(setup)
        calls = [setup.coordination.issue_id_token(job_id, "vault") for _ in range(8)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        tokens = [one for one in found if isinstance(one, str)]
        refusals = [one for one in found if isinstance(one, TooLarge)]
        assert (len(tokens), len(refusals)) == (5, 3)
        assert {one.reference for one in refusals} == {"too-many-id-tokens"}
        patterns = (await setup.resources.log(setup.engine.active_job(job_id)))._patterns  # type: ignore[attr-defined]
        values = [one.values for one in patterns.sets if one.values]
        assert sorted(len(one) for one in values) == [1, 2, 5], "secrets, the job's own credentials, its tokens"
        assert {token.encode() for token in tokens} in values
