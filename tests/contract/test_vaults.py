"""What Danube needs of a vault: the fake has it, and a real OpenBao where `DANUBE_TEST_BAO` names its program.

The real one is set up as docs/secrets.md says, with the key of the test in place of a server's discovery document.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from danube_pkg.adapters.secrets.vault import VaultSecrets
from danube_pkg.core.errors import Permanent
from danube_pkg.core.secrets.outside import VaultSettings
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from tests.fakes.vault import ISSUER, ROLE, FakeVault, Identities
from tests.support.ports import free_port
from tests.support.waiting import wait_until_true

BAO = os.environ.get("DANUBE_TEST_BAO", "")
"""The path of OpenBao's program `bao`, which no registry of this project's dependencies has."""

ROOT_TOKEN = "root-of-the-test"
POLICY = """
path "secret/data/danube/global" { capabilities = ["read"] }
path "secret/data/danube/{{identity.entity.aliases.ACCESSOR.metadata.pipeline}}" { capabilities = ["read"] }
"""
"""As in docs/secrets.md."""


class Vault(Protocol):
    """A vault that trusts `Identities`."""

    @property
    def settings(self) -> VaultSettings: ...

    async def put(self, folder: str, values: Mapping[str, Any] | None) -> None: ...


class RealVault:
    """OpenBao in memory, over its HTTP API."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.settings = VaultSettings(url, ROLE)
        self._session = session

    async def call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"X-Vault-Token": ROOT_TOKEN}
        async with self._session.request(
            method, f"{self.settings.url}/v1/{path}", headers=headers, json=body
        ) as answer:
            text = await answer.text()
            assert answer.status < 300, (path, text)
            return json.loads(text or "null")

    async def set_up(self, identities: Identities) -> None:
        if "secret/" not in (await self.call("GET", "sys/mounts"))["data"]:
            await self.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        await self.call("POST", "sys/auth/jwt", {"type": "jwt"})
        trusted = {"jwt_validation_pubkeys": [identities.public_pem], "bound_issuer": ISSUER}
        await self.call("POST", "auth/jwt/config", trusted)
        role = {
            "role_type": "jwt",
            "user_claim": "pipeline",
            "claim_mappings": {"pipeline": "pipeline"},
            "bound_audiences": [self.settings.url],
            "policies": ["danube"],
            "ttl": "1m",
        }
        await self.call("POST", f"auth/jwt/role/{ROLE}", role)
        accessor = (await self.call("GET", "sys/auth"))["data"]["jwt/"]["accessor"]
        await self.call("PUT", "sys/policies/acl/danube", {"policy": POLICY.replace("ACCESSOR", accessor)})

    async def put(self, folder: str, values: Mapping[str, Any] | None) -> None:
        if values is None:
            await self.call("DELETE", f"secret/metadata/danube/{folder}")
        else:
            await self.call("POST", f"secret/data/danube/{folder}", {"data": values})


@contextlib.asynccontextmanager
async def fake_vault(identities: Identities) -> AsyncIterator[Vault]:
    made = FakeVault(identities)
    runner = web.AppRunner(made.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@contextlib.asynccontextmanager
async def real_vault(identities: Identities, path: Path) -> AsyncIterator[Vault]:
    address = f"127.0.0.1:{free_port()}"
    words = [BAO, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
    with (path / "bao.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *words, f"-dev-listen-address={address}", stdout=log, stderr=log, env={**os.environ, "HOME": str(path)}
        )
    try:
        async with ClientSession() as session:

            async def answers() -> bool:
                with contextlib.suppress(OSError):
                    async with session.get(f"http://{address}/v1/sys/health") as answer:
                        return answer.status == 200
                return False

            await wait_until_true(answers, 60, "OpenBao to answer")
            made = RealVault(f"http://{address}", session)
            await made.set_up(identities)
            yield made
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="module")
def identities() -> Identities:
    return Identities()


@pytest_asyncio.fixture(params=["fake", *([pytest.param("real", marks=pytest.mark.long)] if BAO else [])])
async def vault(request: pytest.FixtureRequest, identities: Identities, tmp_path: Path) -> AsyncIterator[Vault]:
    opening = fake_vault(identities) if request.param == "fake" else real_vault(identities, tmp_path)
    async with opening as opened:
        yield opened


@contextlib.asynccontextmanager
async def reading(settings: VaultSettings) -> AsyncIterator[VaultSecrets]:
    made = VaultSecrets(settings, "test")
    yield made
    await made.close()


async def test_a_job_reads_its_pipelines_folder_and_the_shared_one(vault: Vault, identities: Identities) -> None:
    await vault.put("global", {"TOKEN": "of all pipelines", "NUMBER": 3})
    await vault.put("app", {"TOKEN": "of the app: \u00e9\n"})
    token = identities.token("app", vault.settings.url)
    async with reading(vault.settings) as secrets:
        assert await secrets.read(SecretName("app", "TOKEN"), token) == "of the app: \u00e9\n".encode()
        assert await secrets.read(SecretName(None, "TOKEN"), token) == b"of all pipelines"
        assert await secrets.read(SecretName("app", "MISSING"), token) is None
        with pytest.raises(Permanent, match="is not text"):
            await secrets.read(SecretName(None, "NUMBER"), token)
        await vault.put("app", {"TOKEN": "a newer value"})
        assert await secrets.read(SecretName("app", "TOKEN"), token) == b"a newer value"
        await vault.put("app", None)
        assert await secrets.read(SecretName("app", "TOKEN"), token) is None


async def test_another_pipelines_folder_is_refused(vault: Vault, identities: Identities) -> None:
    """A job can get a token for the vault itself, so the policy and not Danube decides what it may read."""
    await vault.put("app", {"TOKEN": "of the app"})
    async with reading(vault.settings) as secrets:
        with pytest.raises(Permanent, match="refuses the secret") as refusal:
            await secrets.read(SecretName("app", "TOKEN"), identities.token("other", vault.settings.url))
    assert "403: " in refusal.value.cause


async def test_logins_that_are_refused(vault: Vault, identities: Identities) -> None:
    url = vault.settings.url
    await vault.put("global", {"TOKEN": "of all pipelines"})
    right, foreign = identities.token("app", url), Identities("another server").token("app", url)
    for role, token in (
        ("other", right),
        (ROLE, foreign),
        (ROLE, identities.token("app", "https://elsewhere.example.org")),
        (ROLE, "no token"),
        (ROLE, ""),
    ):
        async with reading(replace(vault.settings, role=role)) as secrets:
            with pytest.raises(Permanent, match="refuses the login") as refusal:
                await secrets.read(SecretName(None, "TOKEN"), token)
            assert refusal.value.cause.startswith("it answered 40")
