"""Secrets from outside: files, and a server that speaks the protocol of HashiCorp's KV engine with JWT login."""

from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.secrets.files import SecretFiles
from danube_pkg.adapters.secrets.vault import VaultSecrets
from danube_pkg.adapters.store import SqliteSecrets
from danube_pkg.core.errors import Invalid, NotFound, Permanent, Unavailable
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.secrets.outside import OutsideSecrets, VaultSettings
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.fakes.vault import FakeVault, Identities
from tests.services.stores import PIPELINE, UnrulyJobs, a_job, open_database

JOB = a_job(created_at=1.0)
GLOBAL = SecretName(None, "TOKEN")


@cache
def identities() -> Identities:
    return Identities()


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeVault]:
    made = FakeVault(identities())
    runner = web.AppRunner(made.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def vault(fake: FakeVault) -> AsyncIterator[VaultSecrets]:
    made = VaultSecrets(fake.settings, "test")
    yield made
    await made.close()


async def token_of(job: Job, audience: str) -> str:
    return identities().token(job.pipeline, audience)


def secrets_with(database: Any, places: Sequence[OutsideSecrets]) -> Secrets:
    ids = iter(f"kept-{number}" for number in range(100))
    store, keys, clock = SqliteSecrets(database), Keys(bytes(32)), SystemClock()
    return Secrets(store, keys, clock, lambda: next(ids), KnownValues(), places=places)


async def test_a_vault_is_read_with_the_jobs_own_identity(tmp_path: Path, fake: FakeVault, vault: VaultSecrets) -> None:
    await fake.put("global", {"TOKEN": "of all pipelines", "OTHER": 3})
    await fake.put(PIPELINE.name, {"TOKEN": "of this pipeline"})
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        secrets = secrets_with(database, [vault])
        assert await secrets.read_for_job(JOB, 1, "TOKEN", token_of) == b"of this pipeline"
        assert [(one["pipeline"], one["aud"]) for one in fake.logins] == [(PIPELINE.name, fake.url)]
        await fake.put(PIPELINE.name, {"TOKEN": "a newer value"})
        assert await secrets.read_for_job(JOB, 1, "TOKEN", token_of) == b"a newer value"
        await fake.put(PIPELINE.name, None)
        assert await secrets.read_for_job(JOB, 2, "TOKEN", token_of) == b"of all pipelines"
        assert set(await secrets.used_by(JOB.id)) == {"TOKEN"}
        with pytest.raises(Permanent, match="is not text"):
            await secrets.read_for_job(JOB, 3, "OTHER", token_of)
        with pytest.raises(NotFound):
            await secrets.read_for_job(JOB, 4, "MISSING", token_of)


async def test_what_was_read_is_masked_until_its_jobs_have_ended(
    tmp_path: Path, fake: FakeVault, vault: VaultSecrets
) -> None:
    await fake.put("global", {"TOKEN": "a value from outside"})
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        secrets = secrets_with(database, [vault])
        for sequence in (1, 2):
            await secrets.read_for_job(JOB, sequence, "TOKEN", token_of)
        assert list(await secrets.values_to_mask(PIPELINE.name)) == [b"a value from outside"]
        assert list(await secrets.list(None)) == []
        restarted = secrets_with(database, [])
        assert list(await restarted.values_to_mask(PIPELINE.name)) == [b"a value from outside"]
        await restarted.forget_retired(JOB.created_at)
        assert list(await restarted.values_to_mask(PIPELINE.name)) == [b"a value from outside"]
        await restarted.forget_retired(SystemClock().now() + 1)
        assert list(await restarted.values_to_mask(PIPELINE.name)) == []
        with pytest.raises(NotFound):
            await restarted.read_for_job(JOB, 3, "TOKEN", token_of)


async def test_a_vault_that_refuses_and_one_that_is_sealed(fake: FakeVault, vault: VaultSecrets) -> None:
    fake.status = 503
    with pytest.raises(Unavailable, match="answered 503"):
        await vault.read(GLOBAL, identities().token(PIPELINE.name, fake.url))
    other = VaultSecrets(VaultSettings(fake.url, "other"), "test")
    with pytest.raises(Permanent, match="refuses the login as role 'other'") as refusal:
        await other.read(GLOBAL, "jwt")
    await other.close()
    assert "role 'other' could not be found" in refusal.value.cause


async def test_files_are_read_as_they_are_now_and_danubes_own_come_first(tmp_path: Path) -> None:
    directory = tmp_path / "outside"
    (directory / PIPELINE.name).mkdir(parents=True)
    own, shared = directory / PIPELINE.name / "TOKEN", directory / "TOKEN"
    for file, value in ((own, "of this pipeline"), (shared, "of all pipelines")):
        file.write_text(value)
        file.chmod(0o640)
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        secrets = secrets_with(database, [SecretFiles(directory)])
        assert await secrets.read_for_job(JOB, 1, "TOKEN", token_of) == b"of this pipeline"
        own.unlink()
        assert await secrets.read_for_job(JOB, 2, "TOKEN", token_of) == b"of all pipelines"
        assert await secrets.read_for_server("TOKEN", "a test") == b"of all pipelines"
        await secrets.set(GLOBAL, b"danube's own", "alice")
        assert await secrets.read_for_job(JOB, 3, "TOKEN", token_of) == b"danube's own"
        (directory / "SHORT").write_text("abc")
        (directory / "SHORT").chmod(0o600)
        with pytest.raises(Invalid, match="fewer than"):
            await secrets.read_for_job(JOB, 4, "SHORT", token_of)
        with pytest.raises(NotFound):
            await secrets.read_for_job(JOB, 5, PIPELINE.name, token_of)
        (directory / "SHORT").chmod(0o604)
        with pytest.raises(Permanent, match="every user of the machine can read it"):
            await secrets.read_for_job(JOB, 6, "SHORT", token_of)
