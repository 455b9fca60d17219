"""Secrets from outside: files, and a server that speaks the protocol of HashiCorp's KV engine with JWT login."""

from collections.abc import AsyncIterator, Sequence
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
from danube_pkg.services.outside_secrets import OutsidePlaces
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.services.stores import PIPELINE, UnrulyJobs, a_job, open_database

JOB = a_job(created_at=1.0)
GLOBAL = SecretName(None, "TOKEN")


class FakeVault:
    """The two calls of OpenBao that a read needs. jwts: the tokens of each login. status: of each answer but 200."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, Any]] = {}
        self.jwts: list[str] = []
        self.status = 200
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/auth/jwt/login", self._login)
        app.router.add_get("/v1/secret/data/danube/{folder}", self._read)
        return app

    async def _login(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.jwts.append(asked["jwt"])
        if asked["role"] != "ci":
            return web.json_response({"errors": ["role could not be found"]}, status=400)
        return web.json_response({"auth": {"client_token": f"s.{asked['jwt']}"}}, status=self.status)

    async def _read(self, request: web.Request) -> web.Response:
        if request.headers.get("x-vault-token") != f"s.{self.jwts[-1]}":
            return web.json_response({"errors": ["permission denied"]}, status=403)
        found = self.folders.get(request.match_info["folder"])
        if found is None:
            return web.json_response({"errors": []}, status=404)
        return web.json_response({"data": {"data": found, "metadata": {"version": 1}}})


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeVault]:
    made = FakeVault()
    runner = web.AppRunner(made.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def vault(fake: FakeVault) -> AsyncIterator[VaultSecrets]:
    made = VaultSecrets(VaultSettings(fake.url, "ci"), "test")
    yield made
    await made.close()


def secrets_with(database: Any, places: Sequence[OutsideSecrets]) -> Secrets:
    async def token_of(job: Job, audience: str) -> str:
        return f"token of {job.id} for {audience}"

    ids = iter(f"kept-{number}" for number in range(100))
    store, keys, clock = SqliteSecrets(database), Keys(bytes(32)), SystemClock()
    secrets = Secrets(store, keys, clock, lambda: next(ids), KnownValues())
    secrets.outside = OutsidePlaces(places, token_of, store, keys, clock, lambda: next(ids))
    return secrets


async def test_a_vault_is_read_with_the_jobs_own_identity(tmp_path: Path, fake: FakeVault, vault: VaultSecrets) -> None:
    fake.folders = {"global": {"TOKEN": "of all pipelines", "OTHER": 3}, PIPELINE.name: {"TOKEN": "of this pipeline"}}
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        secrets = secrets_with(database, [vault])
        assert await secrets.read_for_job(JOB, 1, "TOKEN") == b"of this pipeline"
        assert fake.jwts == [f"token of {JOB.id} for {fake.url}"]
        fake.folders[PIPELINE.name] = {"TOKEN": "a newer value"}
        assert await secrets.read_for_job(JOB, 1, "TOKEN") == b"a newer value"
        del fake.folders[PIPELINE.name]
        assert await secrets.read_for_job(JOB, 2, "TOKEN") == b"of all pipelines"
        assert set(await secrets.used_by(JOB.id)) == {"TOKEN"}
        with pytest.raises(Permanent, match="is not text"):
            await secrets.read_for_job(JOB, 3, "OTHER")
        with pytest.raises(NotFound):
            await secrets.read_for_job(JOB, 4, "MISSING")


async def test_what_was_read_is_masked_until_its_jobs_have_ended(
    tmp_path: Path, fake: FakeVault, vault: VaultSecrets
) -> None:
    fake.folders = {"global": {"TOKEN": "a value from outside"}}
    async with open_database(tmp_path) as database:
        await UnrulyJobs(database).create_jobs([JOB])
        secrets = secrets_with(database, [vault])
        for sequence in (1, 2):
            await secrets.read_for_job(JOB, sequence, "TOKEN")
        assert list(await secrets.values_to_mask(PIPELINE.name)) == [b"a value from outside"]
        assert list(await secrets.list(None)) == []
        restarted = secrets_with(database, [])
        assert list(await restarted.values_to_mask(PIPELINE.name)) == [b"a value from outside"]
        await restarted.forget_retired(JOB.created_at)
        assert list(await restarted.values_to_mask(PIPELINE.name)) == [b"a value from outside"]
        await restarted.forget_retired(SystemClock().now() + 1)
        assert list(await restarted.values_to_mask(PIPELINE.name)) == []
        with pytest.raises(NotFound):
            await restarted.read_for_job(JOB, 3, "TOKEN")


async def test_a_vault_that_refuses_and_one_that_is_sealed(fake: FakeVault, vault: VaultSecrets) -> None:
    fake.status = 503
    with pytest.raises(Unavailable, match="answered 503"):
        await vault.read(GLOBAL, "jwt")
    other = VaultSecrets(VaultSettings(fake.url, "other"), "test")
    with pytest.raises(Permanent, match="refuses the login as role 'other'") as refusal:
        await other.read(GLOBAL, "jwt")
    await other.close()
    assert "role could not be found" in refusal.value.cause


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
        assert await secrets.read_for_job(JOB, 1, "TOKEN") == b"of this pipeline"
        own.unlink()
        assert await secrets.read_for_job(JOB, 2, "TOKEN") == b"of all pipelines"
        assert await secrets.read_for_server("TOKEN", "a test") == b"of all pipelines"
        await secrets.set(GLOBAL, b"danube's own", "alice")
        assert await secrets.read_for_job(JOB, 3, "TOKEN") == b"danube's own"
        (directory / "SHORT").write_text("abc")
        (directory / "SHORT").chmod(0o600)
        with pytest.raises(Invalid, match="fewer than"):
            await secrets.read_for_job(JOB, 4, "SHORT")
        with pytest.raises(NotFound):
            await secrets.read_for_job(JOB, 5, PIPELINE.name)
        (directory / "SHORT").chmod(0o604)
        with pytest.raises(Permanent, match="every user of the machine can read it"):
            await secrets.read_for_job(JOB, 6, "SHORT")
