"""Login at an issuer: at a real provider in its own process, and at one with falsified answers."""

import asyncio
import json
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from joserfc.jwk import RSAKey

from danube_pkg.adapters.oidc.issuer import FRESH_KEYS_SECONDS, OidcProvider
from danube_pkg.core.identity.oidc import ClientSettings
from danube_pkg.kit.records import replace
from tests.edges.http.api import (
    Answer,
    Api,
    Caller,
    open_api,
)
from tests.edges.http.issuer import (
    CLIENT_ID,
    Claims,
    Issuer,
    open_issuer,
)
from tests.support.rsa_keys import rsa_pem
from tests.support.waiting import wait_until_async


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as made:
        yield made


@pytest.fixture
async def api(tmp_path: Path, issuer: Issuer) -> AsyncIterator[Api]:
    async with open_api(tmp_path, oidc=issuer.client) as made:
        made.user("alice")
        yield made


def cookies_of(answer: Answer) -> dict[str, str]:
    pairs = [value.partition(";")[0].partition("=") for value in answer.headers.getall("set-cookie", [])]  # type: ignore[attr-defined]
    return {name: value for name, _, value in pairs}


def cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


async def begin(api: Api, return_to: str = "/") -> tuple[str, dict[str, str]]:
    """The URL that the browser is redirected to, and its cookies."""
    answer = await api.anonymous.get(f"/auth/login?return_to={return_to}")
    assert answer.status == 302, answer.body
    return answer.headers["location"], cookies_of(answer)


async def log_in(api: Api, issuer: Issuer) -> Answer:
    location, cookies = await begin(api)
    return await api.anonymous.get(f"/auth/callback?{issuer.authorize(location)}", cookie=cookie_header(cookies))


async def test_a_login_binds_the_subject_to_the_address(api: Api, issuer: Issuer) -> None:
    answer = await log_in(api, issuer)
    assert (answer.status, answer.headers["location"]) == (302, "/")
    alice = Caller("alice", api.address, headers={"cookie": cookie_header(cookies_of(answer))})
    assert (await alice.get("/api/v1/me")).json["name"] == "alice@example.com"
    user = await api.store.store.person_by_id("alice")
    assert user is not None
    assert user.subject == "subject-of-alice"


async def test_an_address_that_moved_to_another_account_is_refused(api: Api, issuer: Issuer) -> None:
    await log_in(api, issuer)
    issuer.change_claims = lambda claims: claims | {"sub": "another-subject"}
    assert (await log_in(api, issuer)).reference == "subject-bound"


async def test_a_user_whose_address_changes_is_found_by_the_subject(api: Api, issuer: Issuer) -> None:
    await log_in(api, issuer)
    issuer.change_claims = lambda claims: claims | {"email": "new@example.com"}
    assert (await log_in(api, issuer)).status == 302


async def test_an_administrator_unbinds_a_user(api: Api, issuer: Issuer) -> None:
    alice = Caller("alice", api.address, headers={"cookie": cookie_header(cookies_of(await log_in(api, issuer)))})
    issuer.change_claims = lambda claims: claims | {"sub": "another-subject"}
    refused = await log_in(api, issuer)
    assert (refused.reference, refused.json["hint"].endswith("danube users unbind NAME")) == ("subject-bound", True)
    (user,) = (await api.local.get("/api/v1/users")).json["users"]
    assert (user["issuer"], user["subject"]) == (issuer.url, "subject-of-alice")
    assert (await api.local.send("DELETE", "/api/v1/users/alice/identity")).json == {"ended": 1}
    assert (await alice.get("/api/v1/me")).status == 401
    assert (await api.local.send("DELETE", "/api/v1/users/alice/identity")).reference == "identity-unbound"
    assert (await log_in(api, issuer)).status == 302


async def test_the_browser_returns_to_the_page_that_it_requested(api: Api, issuer: Issuer) -> None:
    location, cookies = await begin(api, "/jobs/1?tab=log")
    answer = await api.anonymous.get(f"/auth/callback?{issuer.authorize(location)}", cookie=cookie_header(cookies))
    assert answer.headers["location"] == "/jobs/1?tab=log"


@pytest.mark.parametrize("url", ["//evil.example", "https://evil.example", "/%5Cevil.example", "javascript:x"])
async def test_the_login_never_redirects_to_another_site(api: Api, url: str) -> None:
    assert (await api.anonymous.get(f"/auth/login?return_to={url}")).status == 400


FALSIFICATIONS: dict[str, tuple[str, Callable[[Issuer], None]]] = {
    "alg none": ("oidc-algorithm", lambda issuer: setattr(issuer, "sign", issuer.unsigned)),
    "HS256 with the public key": (
        "oidc-algorithm",
        lambda issuer: setattr(issuer, "sign", issuer.signed_with_public_key),
    ),
    "another key": ("oidc-signature", lambda issuer: setattr(issuer, "sign", issuer.signed_by_another)),
    "an unknown key": ("oidc-key", lambda issuer: setattr(issuer, "published", [another_key()])),
    "no token": ("oidc-token", lambda issuer: setattr(issuer, "sign", lambda claims: "no.token.atall")),
    "a changed payload": ("oidc-signature", lambda issuer: setattr(issuer, "sign", changed(issuer))),
    "another issuer": ("oidc-issuer", lambda issuer: claim(issuer, iss="https://evil.example")),
    "another audience": ("oidc-audience", lambda issuer: claim(issuer, aud="another")),
    "several audiences": ("oidc-party", lambda issuer: claim(issuer, aud=["danube-test", "another"])),
    "another party": ("oidc-party", lambda issuer: claim(issuer, azp="another")),
    "another nonce": ("oidc-nonce", lambda issuer: claim(issuer, nonce="another")),
    "no nonce": ("oidc-nonce", lambda issuer: claim(issuer, nonce=None)),
    "expired": ("oidc-expired", lambda issuer: claim(issuer, exp=time.time() - 120)),
    "no expiry": ("oidc-claims", lambda issuer: claim(issuer, exp=None)),
    "an expiry that is true": ("oidc-claims", lambda issuer: claim(issuer, exp=True)),
    "from the future": ("oidc-issued-at", lambda issuer: claim(issuer, iat=time.time() + 3600)),
    "from long ago": ("oidc-issued-at", lambda issuer: claim(issuer, iat=time.time() - 3600)),
    "not yet": ("oidc-not-yet", lambda issuer: claim(issuer, nbf=time.time() + 3600)),
    "no subject": ("oidc-subject", lambda issuer: claim(issuer, sub="")),
    "no address": ("oidc-email", lambda issuer: claim(issuer, email=None)),
    "an unverified address": ("oidc-email-unverified", lambda issuer: claim(issuer, email_verified=False)),
    "an address verified by a word": ("oidc-email-unverified", lambda issuer: claim(issuer, email_verified="yes")),
    "an unknown user": ("oidc-unknown-person", lambda issuer: claim(issuer, email="mallory@example.com")),
}


def another_key() -> RSAKey:
    return RSAKey.import_key(rsa_pem("another issuer"), {"kid": "another", "use": "sig"})


def claim(issuer: Issuer, **claims: Any) -> None:
    issuer.change_claims = lambda found: found | claims


def changed(issuer: Issuer) -> Callable[[Claims], str]:
    """A valid signature of other claims."""

    def sign(claims: Claims) -> str:
        good, other = issuer.signed(claims).split("."), issuer.signed(claims | {"email": "root@example.com"}).split(".")
        return f"{good[0]}.{other[1]}.{good[2]}"

    return sign


@pytest.mark.parametrize("name", FALSIFICATIONS)
async def test_each_falsification_is_refused_and_its_reason_logged(
    api: Api, issuer: Issuer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    reference, falsify = FALSIFICATIONS[name]
    falsify(issuer)
    with caplog.at_level(logging.WARNING, "danube.login"):
        answer = await log_in(api, issuer)
    assert (answer.status, answer.reference) == (401, reference)
    assert answer.json["title"] == "the login failed"
    assert not cookies_of(answer)
    (logged,) = [record for record in caplog.records if record.message == "login-refused"]
    assert logged.__dict__["fields"]["reference"] == reference


async def test_a_browser_gets_a_page_without_the_reason(api: Api, issuer: Issuer) -> None:
    claim(issuer, nonce="<script>")
    location, cookies = await begin(api)
    query = issuer.authorize(location)
    answer = await api.anonymous.get(f"/auth/callback?{query}", cookie=cookie_header(cookies), accept="text/html")
    assert answer.status == 401
    assert b"<h1>The login failed.</h1>" in answer.body
    assert b"another login" not in answer.body
    assert answer.headers["x-request-id"].encode() in answer.body


async def test_a_rotated_key_is_fetched_once_a_minute_at_most(api: Api, issuer: Issuer) -> None:
    assert (await log_in(api, issuer)).status == 302
    issuer.rotate()
    # The keys were fetched a moment ago; for an unknown key they are fetched again, once a minute at most.
    provider = api.services.identity.logins.oidc._provider
    assert isinstance(provider, OidcProvider)
    provider._keys = {uri: (at - FRESH_KEYS_SECONDS, keys) for uri, (at, keys) in provider._keys.items()}
    assert (await log_in(api, issuer)).status == 302
    issuer.rotate()
    requests = issuer.key_requests
    assert (await log_in(api, issuer)).reference == "oidc-key"
    assert issuer.key_requests == requests


@pytest.mark.parametrize(
    ("query", "reference"),
    [
        ("code=x&state=forged", "oidc-state"),
        ("code=x", "oidc-state"),
        ("state={state}", "oidc-no-code"),
        ("error=access_denied&state={state}", "oidc-denied"),
        ("code=x&state={state}&iss=https://evil.example", "oidc-issuer"),
        ("code=invented&state={state}", "oidc-exchange"),
    ],
)
async def test_a_callback_of_another_login_is_refused(api: Api, query: str, reference: str) -> None:
    location, cookies = await begin(api)
    state = location.partition("&state=")[2].partition("&")[0]
    answer = await api.anonymous.get(f"/auth/callback?{query.format(state=state)}", cookie=cookie_header(cookies))
    assert (answer.status, answer.reference) == (401, reference)


async def test_a_callback_without_its_cookie_or_with_a_changed_one_is_refused(api: Api, issuer: Issuer) -> None:
    location, cookies = await begin(api)
    query = issuer.authorize(location)
    assert (await api.anonymous.get(f"/auth/callback?{query}")).reference == "oidc-state"
    (name, value), *_ = cookies.items()
    forged = f"{name}={value[:-2]}{'AA' if value[-2:] != 'AA' else 'BB'}"
    assert (await api.anonymous.get(f"/auth/callback?{query}", cookie=forged)).reference == "oidc-state"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (lambda found: found | {"issuer": "https://evil.example"}, 502),
        (lambda found: found | {"token_endpoint": "http://evil.example/token"}, 502),
        (lambda found: {"issuer": found["issuer"]}, 502),
        (lambda found: web.Response(status=302, headers={"location": "https://evil.example/"}), 502),
        (lambda found: web.Response(text="no JSON"), 502),
        (lambda found: web.Response(text="x" * 1_000_000), 502),
        (lambda found: web.Response(status=500), 502),
    ],
    ids=["another issuer", "plain http", "incomplete", "redirects", "no JSON", "too long", "broken"],
)
async def test_an_invalid_discovery_document_is_a_502(
    api: Api, issuer: Issuer, document: Callable[[dict[str, Any]], Any], status: int
) -> None:
    issuer.document = document
    answer = await api.anonymous.get("/auth/login")
    assert answer.status == status
    assert answer.json["hint"]


async def test_an_unreachable_issuer_is_a_503(tmp_path: Path) -> None:
    async with open_api(tmp_path, oidc=ClientSettings("http://127.0.0.1:9", "x")) as api:
        answer = await api.anonymous.get("/auth/login")
        assert (answer.status, answer.reference) == (503, "oidc-unreachable")


async def test_an_issuer_that_cannot_be_used_is_a_condition(tmp_path: Path) -> None:
    async with open_api(tmp_path, oidc=ClientSettings("http://127.0.0.1:9", "x")) as api:
        (condition,) = await api.services.identity.logins.oidc.conditions()
        assert condition.reference == "issuer-unusable"
        assert "does not answer" in condition.what
        assert condition.hint


async def test_an_issuer_of_another_name_is_a_condition(api: Api, issuer: Issuer) -> None:
    assert await api.services.identity.logins.oidc.conditions() == ()
    async with open_api(api.path / "other", oidc=replace(issuer.client, issuer=f"{issuer.url}/")) as other:
        (condition,) = await other.services.identity.logins.oidc.conditions()
        assert f"names the issuer '{issuer.url}'" in condition.what


async def test_a_token_of_another_clock_says_so(api: Api, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    claim(issuer, iat=time.time() + 3600)
    with caplog.at_level(logging.WARNING, "danube.login"):
        await log_in(api, issuer)
    (logged,) = [record for record in caplog.records if record.message == "login-refused"]
    assert "ahead of this server's clock" in logged.__dict__["fields"]["cause"]


async def test_a_verified_address_and_a_single_group_may_be_texts(api: Api, issuer: Issuer) -> None:
    api.team("core")
    api.write("UPDATE teams SET groups = ? WHERE name = ?", '["developers"]', "core")
    claim(issuer, groups="developers", email_verified="true")
    answer = await log_in(api, issuer)
    alice = Caller("alice", api.address, headers={"cookie": cookie_header(cookies_of(answer))})
    assert (await alice.get("/api/v1/me")).json["teams"] == {"core": "member"}


async def test_a_device_login_of_a_confidential_client_names_it_in_the_form(api: Api, issuer: Issuer) -> None:
    assert (await api.anonymous.post("/auth/device")).status == 201
    assert issuer.device_forms == [CLIENT_ID]


async def test_passwords_are_refused_if_there_is_an_issuer(api: Api) -> None:
    body = {"email": "alice@example.com", "password": "x"}
    assert (await api.anonymous.post("/auth/password", body)).reference == "password-login-off"
    assert (await api.anonymous.get("/auth/methods")).json == {"password": False, "oidc": True}


async def test_groups_of_the_issuer_are_mapped_to_teams(api: Api, issuer: Issuer) -> None:
    api.team("core")
    api.write("UPDATE teams SET groups = ? WHERE name = ?", '["developers"]', "core")
    api.pipeline("app", owner="core")
    claim(issuer, groups=["developers"])
    answer = await log_in(api, issuer)
    alice = Caller("alice", api.address, headers={"cookie": cookie_header(cookies_of(answer))})
    assert (await alice.get("/api/v1/me")).json["teams"] == {"core": "member"}
    assert (await alice.get("/api/v1/pipelines/app")).status == 200


async def test_the_command_line_logs_in_by_device_code(api: Api, issuer: Issuer) -> None:
    begun = (await api.anonymous.post("/auth/device")).json
    assert begun["user_code"] == "ABCD-EFGH"
    body = {"handle": begun["handle"], "token": {"name": "laptop", "scopes": ["read"]}}
    assert (await api.anonymous.post("/auth/device/token", body)).status == 202
    issuer.confirmed_devices.add("device-1")
    made = await api.anonymous.post("/auth/device/token", body)
    assert made.status == 201
    caller = Caller("alice", api.address, headers={"authorization": f"Bearer {made.json['token']}"})
    assert (await caller.get("/api/v1/me")).json["name"] == "alice@example.com"
    assert (await api.anonymous.post("/auth/device/token", body)).reference == "device-login-expired"


def free_port() -> int:
    """A port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def real_provider() -> AsyncIterator[str]:
    """oidc-provider-mock in its own process."""
    port = free_port()
    claims = json.dumps({"sub": "alice-at-the-issuer", "email": "alice@example.com", "email_verified": True})
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, "--user-claims", claims, stdout=quiet, stderr=quiet)
    try:
        await wait_until_async(lambda: answers(port), 30, "the provider to listen")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def test_a_login_at_a_real_provider(tmp_path: Path) -> None:
    async with real_provider() as url, open_api(tmp_path, oidc=ClientSettings(url, "danube", "secret")) as api:
        api.user("alice")
        location, cookies = await begin(api, "/jobs")
        async with (
            aiohttp.ClientSession() as browser,
            browser.post(location, data={"sub": "alice-at-the-issuer"}, allow_redirects=False) as page,
        ):
            back = page.headers["location"]
        assert back.startswith(f"{api.address}/auth/callback?")
        answer = await api.anonymous.get(back.removeprefix(api.address), cookie=cookie_header(cookies))
        assert (answer.status, answer.headers["location"]) == (302, "/jobs")
        alice = Caller("alice", api.address, headers={"cookie": cookie_header(cookies_of(answer))})
        assert (await alice.get("/api/v1/me")).json["name"] == "alice@example.com"
        replayed = await api.anonymous.get(back.removeprefix(api.address), cookie=cookie_header(cookies))
        assert (replayed.status, replayed.reference) == (401, "oidc-exchange")
