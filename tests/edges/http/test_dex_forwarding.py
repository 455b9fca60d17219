"""Requests below `/dex`, which the server forwards to the Dex that it runs."""

from pathlib import Path

from aiohttp import web

from danube_pkg.core.identity.dex import DexSettings
from danube_pkg.services.identity.passwords import ACCOUNT_TRIES
from tests.edges.http.api import Caller, open_api
from tests.edges.http.issuer import serving


def dex_at(url: str) -> DexSettings:
    """Settings for a Dex that listens there."""
    return DexSettings("https://ci.example.org", "a secret", listen=url.removeprefix("http://"))


async def test_requests_below_dex_are_forwarded_with_their_prefix(tmp_path: Path) -> None:
    """In place of Dex a server of the test, which echoes requests."""

    async def echo(request: web.Request) -> web.StreamResponse:
        shown = {
            "method": request.method,
            "target": request.raw_path,
            "body": (await request.read()).decode(),
            "cookie": request.headers.get("cookie", ""),
            "authorization": request.headers.get("authorization", ""),
        }
        return web.json_response(shown, headers={"set-cookie": "dex=1; Path=/dex"})

    async def redirect(request: web.Request) -> web.StreamResponse:
        return web.Response(status=303, headers={"location": "/dex/approval?req=1"})

    application = web.Application()

    async def wrong(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401, text="Invalid Email Address and password.")

    application.router.add_post("/dex/auth/local", redirect)
    application.router.add_post("/dex/auth/local/login", wrong)
    application.router.add_route("*", "/dex/{rest:.*}", echo)
    async with serving(application) as url, open_api(tmp_path, dex=dex_at(url)) as api:
        headers = {"cookie": "danube_session=ours; dex_state=theirs", "authorization": "Bearer dt1_ours"}
        shown = (await Caller("x", api.address, headers=headers).get("/dex/auth?client_id=a%20b")).json
        assert shown == {
            "method": "GET",
            "target": "/dex/auth?client_id=a%20b",
            "body": "",
            "cookie": "dex_state=theirs",
            "authorization": "",
        }
        form = await api.anonymous.send(
            "POST", "/dex/token", data=b"grant_type=x", headers={"authorization": "Basic eA=="}
        )
        assert (form.json["body"], form.json["authorization"]) == ("grant_type=x", "Basic eA==")
        guess = b"login=alice%40example.com&password=a+guess"
        answers = [
            await api.anonymous.send("POST", "/dex/auth/local/login", data=guess) for _ in range(ACCOUNT_TRIES + 1)
        ]
        assert [one.status for one in answers] == [401] * ACCOUNT_TRIES + [429]
        assert answers[-1].headers["retry-after"]
        kept = (await api.local.get("/api/v1/audit")).json["entries"]
        assert [(one["actor"], one["outcome"]) for one in kept] == [("alice@example.com", "refused")] * ACCOUNT_TRIES
        moved = await api.anonymous.send("POST", "/dex/auth/local", data=b"login=x")
        assert (moved.status, moved.headers["location"]) == (303, "/dex/approval?req=1")
    async with open_api(tmp_path / "unreachable", dex=dex_at("http://127.0.0.1:9")) as api:
        assert (await api.anonymous.get("/dex/keys")).status == 503
        assert (await api.anonymous.get("/health")).json["conditions"] == ["dex-not-answering"]
