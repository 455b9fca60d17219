"""Signing at the end of a job, with the whole engine: what is stated, and that nothing is released without it."""

import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope as IndependentEnvelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from danube_pkg.adapters.keys.signing import SigningKeys, is_signed_by
from danube_pkg.core.errors import Conflict, Permanent, Unauthenticated, Unavailable
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.provenance.envelope import Signature, read_envelopes
from danube_pkg.core.provenance.sbom import CYCLONEDX_TYPE
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from tests.core.provenance.facts import LIBRARY
from tests.core.provenance.test_sbom import CYCLONEDX
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Exit, Print, plays
from tests.fakes.runtime import fake_digest
from tests.services.jobs.test_coordination import TRIGGER, asked, closed, running_job
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

CONTENT = b"what was built"


class FailingKeys(SigningKeys):
    """A holder of keys that raises each of `failures` once, and then signs."""

    failures: tuple[Exception, ...] = ()
    before_signing: Callable[[], None] = staticmethod(lambda: None)

    async def sign(self, data: bytes) -> Signature:
        self.before_signing()
        if self.failures:
            failure, self.failures = self.failures[0], self.failures[1:]
            raise failure
        return await super().sign(data)


async def upload(setup: EngineSetup, job_id: str, sequence: int, name: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield CONTENT

    await setup.coordination.receive_artifact(job_id, sequence, name, name, chunks())


async def ended(setup: EngineSetup, job_id: str, failure: ScriptFailure | None = None) -> Job:
    await setup.coordination.finish(job_id, failure)
    await closed(setup, job_id)
    job = await setup.jobs.load_job(job_id)
    assert job is not None
    return job


async def statement_about(setup: EngineSetup, job: Job) -> dict[str, Any]:
    """The stored statement, after an independent check of its signature."""
    stored = (await setup.statements.of(job)).envelope
    (envelope,) = read_envelopes(stored)
    key = next(one for one in setup.signing.public_keys() if one.id == envelope.signatures[0].key_id)
    assert is_signed_by(key, envelope.signatures[0].value, envelope.signed_bytes)
    public = SSlibKey.from_crypto(load_pem_public_key(key.pem.encode()), keyid=key.id)
    IndependentEnvelope.from_dict(json.loads(stored)).verify([public], 1)
    found: dict[str, Any] = json.loads(envelope.payload)
    return found


async def test_a_green_job_is_stated_with_all_that_was_recorded(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.images.add("node:20")
    machine.commands["make"] = plays(Print(b"made\n"))
    machine.commands["try"] = plays(Exit(3))
    async with open_engine_setup(tmp_path, machine) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"a secret value", "alice")
        setup.sources.submodules = (LIBRARY,)
        job_id = await running_job(setup)
        request = asked("make")
        await setup.coordination.run_step(job_id, replace(request, image="node:20"))
        tried = asked("try", 2, retries=1)
        await setup.coordination.run_step(job_id, replace(tried, check=False))
        await setup.coordination.read_secret(job_id, 3, "TOKEN")
        await upload(setup, job_id, 4, "report")
        with pytest.raises(Conflict, match="not released"):
            await setup.statements.check_released(setup.engine.active_job(job_id).job)
        job = await ended(setup, job_id)
        statement = await statement_about(setup, job)
        log = setup.logs.path(job_id).read_bytes()
    assert statement["subject"] == [{"name": "report", "digest": {"sha256": sha256(CONTENT).hexdigest()}}]
    definition, details = (statement["predicate"][name] for name in ("buildDefinition", "runDetails"))
    images = [one for one in definition["resolvedDependencies"] if one["name"] == "image"]
    assert [f"sha256:{one['digest']['sha256']}" for one in images] == [fake_digest("node:20")]
    (submodule,) = (one for one in definition["resolvedDependencies"] if one["name"] == "submodule")
    assert submodule == {
        "name": "submodule",
        "uri": f"git+{LIBRARY.repository}",
        "digest": {"gitCommit": LIBRARY.commit_sha},
        "annotations": {"path": "vendor/library"},
    }
    byproducts = {one["name"]: one for one in details["byproducts"]}
    assert byproducts["job"]["annotations"] == {"status": "success", "reason": ""}
    assert byproducts[f"{job_id}.log"]["digest"]["sha256"] == sha256(log).hexdigest()
    steps = [one for one in byproducts["records"]["annotations"]["records"] if one["kind"] == "step"]
    assert [(one["sequence"], one["attempt"], one["exitCode"]) for one in steps[:3]] == [
        (1, 1, 0),
        (2, 1, 3),
        (2, 2, 3),
    ]
    assert [one["name"] for one in byproducts["secrets"]["annotations"]["reads"]] == ["TOKEN"]
    assert "a secret value" not in json.dumps(statement)


async def test_an_sbom_is_stated_about_its_subject_and_released_with_it(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, FakeMachine()) as setup:
        job_id = await running_job(setup)
        await upload(setup, job_id, 1, "report")

        async def chunks() -> AsyncIterator[bytes]:
            yield json.dumps(CYCLONEDX).encode()

        await setup.coordination.receive_artifact(job_id, 2, "report.sbom.json", "", chunks(), "report")
        job = await ended(setup, job_id)
        assert job.status is Status.SUCCESS
        envelopes = read_envelopes((await setup.statements.of(job)).envelope)
        keys = setup.signing.public_keys()
    statements = [json.loads(one.payload) for one in envelopes]
    assert [one["predicateType"] for one in statements] == ["https://slsa.dev/provenance/v1", CYCLONEDX_TYPE]
    assert [one["name"] for one in statements[0]["subject"]] == ["report", "report.sbom.json"]
    assert statements[1]["subject"] == [{"name": "report", "digest": {"sha256": sha256(CONTENT).hexdigest()}}]
    assert statements[1]["predicate"] == CYCLONEDX
    assert all(is_signed_by(keys[0], one.signatures[0].value, one.signed_bytes) for one in envelopes)


async def test_the_artifacts_of_a_red_job_are_signed_with_its_status(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, FakeMachine()) as setup:
        job_id = await running_job(setup)
        await upload(setup, job_id, 1, "report")
        job = await ended(setup, job_id, ScriptFailure(Reason.SCRIPT_ERROR, "line 3"))
        statement = await statement_about(setup, job)
    assert [one["name"] for one in statement["subject"]] == ["report"]
    job_product = statement["predicate"]["runDetails"]["byproducts"][0]
    assert job_product["annotations"] == {"status": "failure", "reason": "script-error"}


def failing(path: Path, *failures: Exception) -> FailingKeys:
    keys = FailingKeys.open(path / "keys", SystemClock())
    assert isinstance(keys, FailingKeys)
    keys.failures = failures
    return keys


async def test_a_job_that_cannot_be_signed_is_not_green_and_releases_nothing(tmp_path: Path) -> None:
    keys = failing(tmp_path, Permanent("key-gone", "the token was removed", hint="put it back"))
    async with open_engine_setup(tmp_path, FakeMachine(), signing=keys) as setup:
        job_id = await running_job(setup)
        await upload(setup, job_id, 1, "report")
        job = await ended(setup, job_id)
        assert (job.status, job.reason) == (Status.FAILURE, Reason.SIGNING_FAILED)
        assert "the token was removed" in job.message
        with pytest.raises(Conflict, match="no provenance") as refusal:
            await setup.statements.check_released(job)
        assert refusal.value.cause == "the token was removed"


async def test_a_holder_of_keys_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    keys = failing(tmp_path, *(Unavailable("kms-silent", "no answer") for _ in range(3)))
    async with open_engine_setup(tmp_path, FakeMachine(), signing=keys) as setup:
        job_id = await running_job(setup)
        await upload(setup, job_id, 1, "report")
        job = await ended(setup, job_id)
        assert job.status is Status.SUCCESS
        assert keys.failures == ()
        assert await statement_about(setup, job)


async def test_a_rotation_during_fifty_jobs(tmp_path: Path) -> None:
    """Each job is signed by one of both keys, and verified by its public half."""
    async with open_engine_setup(tmp_path, FakeMachine()) as setup:
        setup.limit(50)
        jobs = [await running_job(setup) for _ in range(50)]
        before = setup.signing.current
        found = [await ended(setup, job_id) for job_id in jobs[:25]]
        await setup.signing.rotate()
        found += [await ended(setup, job_id) for job_id in jobs[25:]]
        for job in found:
            assert await statement_about(setup, job)
        keys = [(await setup.statements.of(job)).key_id for job in found]
    assert keys == [before.id] * 25 + [setup.signing.current.id] * 25


async def test_a_job_that_never_ran_has_no_provenance(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, FakeMachine()) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        await setup.engine.cancel(job.id, "me")
        await wait_until_async(lambda: not setup.engine.open_jobs, 10, "the end of the job")
        stored = await setup.jobs.load_job(job.id)
        assert stored is not None
        assert await setup.statements.find(stored) is None


async def test_the_token_of_a_job_ends_before_it_is_signed(tmp_path: Path) -> None:
    """So that nothing is uploaded and no secret is read behind what the statement says."""
    found: list[str] = []
    keys = failing(tmp_path)
    async with open_engine_setup(tmp_path, FakeMachine(), signing=keys) as setup:
        job_id = await running_job(setup)
        token = setup.keys.job_token(job_id)
        assert setup.coordination.authenticate(token) == job_id

        def while_signing() -> None:
            with pytest.raises(Unauthenticated) as refusal:
                setup.coordination.authenticate(token)
            found.append(refusal.value.reference)

        keys.before_signing = while_signing
        await ended(setup, job_id)
    assert found == ["job-token-revoked"]
