"""Credentials from all sources, tokens, and the errors without them."""

import base64
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.setup import ImageSetup, open_image_setup, refusal
from tests.adapters.images.tokens import (
    ISSUER,
    REFRESH_TOKEN,
    SERVICE,
    TokenService,
    token_service_running,
)
from tests.support.image_layouts import Layout, file, push_by_skopeo
from tests.support.registry import (
    PASSWORD,
    USER,
    Registry,
    serving,
)
from tests.support.waiting import wait_until_async


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, closed_registry: Registry) -> str:
    layout = Layout(tmp_path_factory.mktemp("private") / "layout").image("1", [[file("x", "1")]])
    push_by_skopeo(layout, "1", f"{closed_registry.host}/private/app:1", "--dest-creds", f"{USER}:{PASSWORD}")
    return f"{closed_registry.host}/private/app:1"


@pytest_asyncio.fixture
async def outsider(tmp_path: Path, closed_registry: Registry) -> AsyncIterator[ImageSetup]:
    async with open_image_setup(tmp_path / "outsider", RegistrySpec(closed_registry.host, insecure=True)) as made:
        yield made


async def test_missing_credentials_are_reported_with_a_hint(
    outsider: ImageSetup, closed_registry: Registry, private: str
) -> None:
    message = await refusal(outsider, private)
    assert f"pulling {private} from {closed_registry.host} requires credentials" in message
    assert f"docker login {closed_registry.host}" in message


def login(setup: ImageSetup, document: object) -> None:
    (setup.directory / "config.json").write_text(json.dumps(document))


@pytest.mark.parametrize("key", ["{}", "http://{}", "https://{}/v1/"])
async def test_credentials_of_docker_login_are_used(
    outsider: ImageSetup, closed_registry: Registry, private: str, key: str
) -> None:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    login(outsider, {"auths": {key.format(closed_registry.host): {"auth": pair}}})
    assert (outsider.root(await outsider.pull(private)) / "x").read_text() == "1"


async def test_a_wrong_password_is_reported_as_such(
    outsider: ImageSetup, closed_registry: Registry, private: str
) -> None:
    login(outsider, {"auths": {closed_registry.host: {"username": USER, "password": "wrong"}}})
    message = await refusal(outsider, private)
    assert "does not let these credentials read" in message
    assert "wrong" not in message


async def test_an_unreadable_config_json_is_reported(outsider: ImageSetup, private: str) -> None:
    (outsider.directory / "config.json").write_text("{")
    assert "config.json cannot be read" in await refusal(outsider, private)


async def test_credentials_of_a_docker_credential_program_are_used(
    outsider: ImageSetup, closed_registry: Registry, private: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker-credential-test"
    answer = json.dumps({"ServerURL": "x", "Username": USER, "Secret": PASSWORD})
    program.write_text(
        f"#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {closed_registry.host}' ] && echo '{answer}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    login(outsider, {"credHelpers": {closed_registry.host: "test"}})
    await outsider.pull(private)


async def test_a_secret_of_danube_is_used(tmp_path: Path, closed_registry: Registry, private: str) -> None:
    rule = RegistrySpec(closed_registry.host, insecure=True, username=USER, password_secret="REGISTRY_PASSWORD")
    async with open_image_setup(tmp_path / "setup", rule) as setup:
        message = await refusal(setup, private)
        assert f"registry {closed_registry.host} needs the secret 'REGISTRY_PASSWORD'" in message
        assert "danube secrets set REGISTRY_PASSWORD" in message
        setup.secrets["REGISTRY_PASSWORD"] = PASSWORD.encode()
        await setup.pull(private)
        assert not any(PASSWORD.encode() in path.read_bytes() for path in setup.directory.rglob("*") if path.is_file())


@pytest.fixture
def token_service(tmp_path: Path) -> Iterator[TokenService]:
    with token_service_running(tmp_path) as made:
        yield made


@pytest.fixture
def token_registry(tmp_path: Path, token_service: TokenService) -> Iterator[Registry]:
    token = (
        f"{{realm: '{token_service.url}', service: {SERVICE}, issuer: {ISSUER},"
        f" rootcertbundle: '{token_service.certificate}'}}"
    )
    with serving(tmp_path / "registry", token=token) as running:
        layout = Layout(tmp_path / "layout").image("1", [[file("x", "1")], [file("y", "2")]])
        push_by_skopeo(layout, "1", f"{running.host}/token/app:1", "--dest-creds", f"{USER}:{PASSWORD}")
        token_service.asked.clear()
        yield running


async def test_a_token_is_requested_once_for_all_requests(
    tmp_path: Path, token_registry: Registry, token_service: TokenService
) -> None:
    async with open_image_setup(tmp_path / "setup", RegistrySpec(token_registry.host, insecure=True)) as setup:
        login(setup, {"auths": {token_registry.host: {"username": USER, "password": PASSWORD}}})
        await setup.pull(f"{token_registry.host}/token/app:1")
        await setup.pull(f"{token_registry.host}/token/app:1")
    assert token_service.asked == [("GET", {"service": SERVICE, "scope": "repository:token/app:pull"})]


async def test_an_expired_token_is_requested_again(
    tmp_path: Path, token_registry: Registry, token_service: TokenService
) -> None:
    token_service.lifetime_seconds = 1
    async with open_image_setup(tmp_path / "setup", RegistrySpec(token_registry.host, insecure=True)) as setup:
        login(setup, {"auths": {token_registry.host: {"username": USER, "password": PASSWORD}}})
        await setup.pull(f"{token_registry.host}/token/app:1")
        over = time.monotonic() + token_service.lifetime_seconds
        await wait_until_async(lambda: time.monotonic() > over, 10, "the token to expire")
        before = len(token_service.asked)
        await setup.pull(f"{token_registry.host}/token/app:1")
        assert len(token_service.asked) == before + 1


async def test_public_images_need_a_token_and_no_account(
    tmp_path: Path, token_registry: Registry, token_service: TokenService
) -> None:
    async with open_image_setup(tmp_path / "setup", RegistrySpec(token_registry.host, insecure=True)) as setup:
        message = await refusal(setup, f"{token_registry.host}/token/app:1")
        assert "requires credentials" in message
        token_service.open_to_all = True
        await setup.pull(f"{token_registry.host}/token/app:1")


async def test_an_identity_token_is_exchanged(
    tmp_path: Path, token_registry: Registry, token_service: TokenService
) -> None:
    async with open_image_setup(tmp_path / "setup", RegistrySpec(token_registry.host, insecure=True)) as setup:
        login(setup, {"auths": {token_registry.host: {"identitytoken": REFRESH_TOKEN}}})
        await setup.pull(f"{token_registry.host}/token/app:1")
    method, form = token_service.asked[-1]
    assert (method, form["grant_type"], form["scope"]) == ("POST", "refresh_token", "repository:token/app:pull")
