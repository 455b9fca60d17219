"""Which way requests to an issuer go: through the environment's proxy, and directly to the server's own Dex."""

import json
from collections.abc import AsyncIterator

import pytest

from danube_pkg.adapters.oidc.issuer import OidcProvider
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.identity.oidc import IssuerUnusable
from tests.support.scripted_http import ReceivedRequest, ScriptedServer, http_response, scripted_http

ISSUER = "http://issuer.invalid/realm"
DEX = "https://ci.example.org/dex"


def document(issuer: str) -> bytes:
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    return json.dumps({"issuer": issuer, **dict.fromkeys(names, "https://issuer.example.org/x")}).encode()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    def respond(request: ReceivedRequest) -> bytes:
        return http_response(200, document(ISSUER if request.target.startswith(ISSUER) else DEX))

    async with scripted_http(respond) as made:
        yield made


@pytest.fixture(autouse=True)
def proxy(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is the environment's proxy too."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("https_proxy", server.url)


async def test_an_issuer_is_reached_through_the_proxy_of_the_environment(server: ScriptedServer) -> None:
    provider = OidcProvider()
    assert (await provider.discover(ISSUER)).issuer == ISSUER
    await provider.close()
    assert [request.target for request in server.requests] == [f"{ISSUER}/.well-known/openid-configuration"]


async def test_the_servers_own_dex_is_reached_directly(server: ScriptedServer) -> None:
    provider = OidcProvider((DEX, f"{server.url}/dex"))
    assert (await provider.discover(DEX)).issuer == DEX
    await provider.close()
    assert [request.target for request in server.requests] == ["/dex/.well-known/openid-configuration"]


async def test_cookies_of_an_issuer_are_not_kept(server: ScriptedServer) -> None:
    server.respond = lambda request: http_response(500, document(ISSUER), ("Set-Cookie", "session=1"))
    provider = OidcProvider()
    for _ in range(2):
        with pytest.raises(IssuerUnusable, match="500"):
            await provider.discover(ISSUER)
    await provider.close()
    assert all("cookie" not in request.headers for request in server.requests)


async def test_a_response_without_end_is_refused_and_no_response_is_unavailable(server: ScriptedServer) -> None:
    provider = OidcProvider()
    server.respond = lambda request: http_response(200, b" " * 300_000)
    with pytest.raises(IssuerUnusable, match="more than 262144 bytes"):
        await provider.discover(ISSUER)
    server.respond = lambda request: b""
    with pytest.raises(Unavailable) as unavailable:
        await provider.discover(ISSUER)
    assert unavailable.value.reference == "oidc-unreachable"
    await provider.close()


async def test_an_endpoint_that_is_not_a_url_is_refused(server: ScriptedServer) -> None:
    broken = json.loads(document(ISSUER)) | {"jwks_uri": "https://[zz]/keys"}
    server.respond = lambda request: http_response(200, json.dumps(broken).encode())
    provider = OidcProvider()
    with pytest.raises(IssuerUnusable, match="jwks_uri is not a URL"):
        await provider.discover(ISSUER)
    await provider.close()
