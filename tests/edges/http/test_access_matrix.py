"""Every endpoint × every kind of caller. The endpoints are those of the table of routes: one without a row here
fails."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from danube_pkg.core.identity.access import (
    RULES,
    Action,
    Need,
    Scope,
)
from danube_pkg.edges.http.routes import ROUTES
from danube_pkg.edges.http.server.resource import Route
from tests.edges.http.api import COMMIT, Api, Caller, open_api

CALLERS = ("anonymous", "expired", "other", "reader", "approver", "writer", "admin", "global", "local")

OPEN = "200 200 200 200 200 200 200 200 200"
LOGIN = "401 401 200 200 200 200 200 200 200"
GLOBAL = "401 401 403 403 403 403 403 200 200"
READ = "401 401 404 200 403 200 200 200 200"
WRITE = "401 401 404 403 403 200 200 200 200"
ADMIN = "401 401 404 403 403 403 200 200 200"

EXPECTED: Mapping[str, str] = {
    "GET /": OPEN,
    "GET /pipelines/{pipeline}": OPEN,
    "GET /jobs/{job}": OPEN,
    "GET /queue": OPEN,
    "GET /configuration": OPEN,
    "GET /secrets": OPEN,
    "GET /audit": OPEN,
    "GET /account": OPEN,
    "GET /login": OPEN,
    "GET /assets/{rest*}": OPEN.replace("200", "404"),
    "GET /badges/{badge}": OPEN.replace("200", "404"),
    "GET /favicon.svg": OPEN.replace("200", "404"),
    "GET /theme.js": OPEN.replace("200", "404"),
    "GET /health": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": "200 401 200 200 200 200 200 200 200",
    "GET /docs": OPEN,
    "GET /builders/{page}/v1": OPEN.replace("200", "404"),
    "GET /buildtypes/{page}/v1": OPEN.replace("200", "404"),
    "GET /attestations/{page}/v1": OPEN.replace("200", "404"),
    "GET /docs/style.css": OPEN,
    "GET /api/v1/openapi.json": OPEN,
    "GET /auth/methods": OPEN,
    # This server has neither an issuer nor Dex: the answer is the same for all callers.
    "GET /auth/login": OPEN.replace("200", "404"),
    "GET /auth/callback": OPEN.replace("200", "404"),
    "GET /dex/{rest*}": OPEN.replace("200", "404"),
    "POST /dex/{rest*}": OPEN.replace("200", "404"),
    "POST /auth/device": OPEN.replace("200", "404"),
    "POST /auth/device/token": OPEN.replace("200", "401"),
    "POST /auth/password": OPEN.replace("200", "401"),
    "POST /auth/token": OPEN.replace("200", "401"),
    # A signature takes the place of the login, so all callers reach it; this request is not a webhook delivery.
    # This server issues no tokens for a registry.
    "GET /registry/token": OPEN.replace("200", "404"),
    "POST /hooks/{forge}": OPEN.replace("200", "400"),
    "POST /auth/logout": LOGIN.replace("200", "204"),
    "GET /api/v1/me": LOGIN,
    "GET /api/v1/sessions": LOGIN,
    "DELETE /api/v1/sessions/{session}": LOGIN.replace("200", "404"),
    "GET /api/v1/tokens": LOGIN,
    # A token belongs to a user of the configuration, which the owner of the socket is not.
    "POST /api/v1/tokens": "401 401 201 201 403 201 201 201 403",
    "DELETE /api/v1/tokens/{token}": "401 401 404 404 403 404 404 404 404",
    "GET /api/v1/pipelines": "401 401 200 200 403 200 200 200 200",
    "GET /api/v1/pipelines/{pipeline}": READ,
    "GET /api/v1/pipelines/{pipeline}/stats": READ,
    "POST /api/v1/pipelines/{pipeline}/jobs": WRITE.replace("200", "201"),
    "GET /api/v1/pipelines/{pipeline}/caches": READ,
    "DELETE /api/v1/pipelines/{pipeline}/caches": WRITE,
    "DELETE /api/v1/pipelines/{pipeline}/caches/{cache}": WRITE.replace("200", "404"),
    "GET /api/v1/jobs": "401 401 200 200 403 200 200 200 200",
    "GET /api/v1/jobs/{job}": READ,
    "GET /api/v1/jobs/{job}/explanation": READ,
    "POST /api/v1/jobs/{job}/cancel": WRITE.replace("200", "202"),
    "POST /api/v1/jobs/{job}/rerun": WRITE.replace("200", "201"),
    "POST /api/v1/jobs/{job}/rebuild": WRITE.replace("200", "409"),
    "GET /api/v1/jobs/{job}/rebuild": READ.replace("200", "409"),
    "POST /api/v1/jobs/{job}/approve": "401 401 404 403 202 202 202 202 202",
    "POST /api/v1/jobs/{job}/environment": READ.replace("200", "409").replace("403", "409"),
    "GET /api/v1/jobs/{job}/keep": READ,
    "PUT /api/v1/jobs/{job}/keep": WRITE,
    "DELETE /api/v1/jobs/{job}/keep": WRITE,
    # The job waits in the queue: it has no pod that is kept.
    "POST /api/v1/jobs/{job}/shells": ADMIN.replace("200", "409"),
    "POST /api/v1/jobs/{job}/shells/{shell}/input": ADMIN.replace("200", "404"),
    "GET /api/v1/jobs/{job}/shells/{shell}/output": ADMIN.replace("200", "404"),
    "DELETE /api/v1/jobs/{job}/pod": WRITE.replace("200", "409"),
    "GET /api/v1/jobs/{job}/log": READ,
    "GET /api/v1/jobs/{job}/log/lines": READ,
    "GET /api/v1/jobs/{job}/log/sections": READ,
    "GET /api/v1/jobs/{job}/log/search": READ,
    "GET /api/v1/jobs/{job}/log/time": READ,
    "GET /api/v1/jobs/{job}/events": READ,
    "GET /api/v1/jobs/{job}/egress": READ,
    "GET /api/v1/jobs/{job}/tests": READ,
    "GET /api/v1/jobs/{job}/notes": READ,
    "GET /api/v1/jobs/{job}/artifacts": READ,
    "GET /api/v1/jobs/{job}/artifacts/{artifact}": READ.replace("200", "404"),
    "GET /api/v1/jobs/{job}/artifacts/{artifact}/provenance": READ.replace("200", "404"),
    # The job waits in the queue.
    "GET /api/v1/jobs/{job}/provenance": READ.replace("200", "409"),
    "GET /api/v1/jobs/{job}/export": READ.replace("200", "409"),
    "GET /api/v1/jobs/{job}/secrets": READ,
    "GET /api/v1/deliveries": "401 401 200 200 403 200 200 200 200",
    "GET /api/v1/events": "401 401 200 200 403 200 200 200 200",
    "GET /api/v1/secrets": GLOBAL,
    "PUT /api/v1/secrets/{key}": GLOBAL,
    "DELETE /api/v1/secrets/{key}": GLOBAL.replace("200", "204"),
    "GET /api/v1/pipelines/{pipeline}/secrets": WRITE,
    "PUT /api/v1/pipelines/{pipeline}/secrets/{key}": ADMIN,
    "DELETE /api/v1/pipelines/{pipeline}/secrets/{key}": ADMIN.replace("200", "204"),
    "GET /api/v1/teams": "401 401 200 200 403 200 200 200 200",
    "GET /api/v1/users": GLOBAL,
    "DELETE /api/v1/users/{user}/identity": GLOBAL.replace("200", "404"),
    "DELETE /api/v1/users/{user}/sessions": GLOBAL.replace("200", "404"),
    "DELETE /api/v1/users/{user}/tokens": GLOBAL.replace("200", "404"),
    "GET /api/v1/audit": GLOBAL,
    "GET /api/v1/audit/check": GLOBAL,
    "GET /api/v1/config": GLOBAL,
    "POST /api/v1/config/sync": GLOBAL,
    "POST /api/v1/config/plan": GLOBAL,
    "GET /api/v1/pipelines/{pipeline}/definition": READ,
    "GET /api/v1/forges/check": GLOBAL,
    "GET /.well-known/danube-signing-keys.json": OPEN,
    # This server has no https URL, so it issues no tokens.
    "GET /.well-known/openid-configuration": OPEN.replace("200", "404"),
    "GET /.well-known/danube-identity-keys.json": OPEN.replace("200", "404"),
    "POST /api/v1/keys/rotate": GLOBAL,
    "GET /api/v1/system": GLOBAL,
    "POST /api/v1/system/drain": GLOBAL,
    "POST /api/v1/system/drain/cancel": GLOBAL.replace("200", "409"),
    "POST /api/v1/system/resume": GLOBAL,
    "GET /api/v1/system/retention": GLOBAL,
    "POST /api/v1/system/reap": GLOBAL,
}
"""The status for each of `CALLERS`, in their order. The approver is a writer whose token has the scope approve only."""

BODIES: Mapping[str, object] = {
    "POST /api/v1/config/plan": {"files": {}},
    "POST /auth/password": {"email": "unknown@example.com", "password": "wrong"},
    "POST /auth/token": {"email": "unknown@example.com", "password": "wrong"},
    "POST /auth/device/token": {"handle": "none"},
    "POST /api/v1/tokens": {"name": "another"},
    "POST /api/v1/jobs/{job}/approve": {"commit_sha": COMMIT},
    "POST /api/v1/jobs/{job}/environment": {"sequence": 1, "decision": "approve"},
}

QUERIES = {"GET /api/v1/jobs/{job}/log/search": "?q=line", "GET /api/v1/jobs/{job}/log/time": "?at=0"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with one pipeline, and one caller of each kind."""

    api: Api
    callers: Mapping[str, Caller]


@pytest.fixture
async def stage(api: Api) -> Stage:
    """One for each test."""
    return await staged(api)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One for all endpoints that no caller is counted at."""
    async with open_api(tmp_path_factory.mktemp("api")) as api:
        yield await staged(api)


async def staged(api: Api) -> Stage:
    await api.parts.configuration.sync()  # without a configuration the server is not ready
    for team in ("owners", "writers", "readers", "others"):
        api.team(team)
    api.team("operators", global_admin=True)
    api.pipeline("app", owner="owners", levels={"writers": "write", "readers": "read"})
    api.user("expired", owners="admin")
    api.user("approver", writers="member")
    callers = {
        "anonymous": api.anonymous,
        "expired": await api.with_token("expired", *Scope),
        "other": await api.caller("other", others="admin"),
        "reader": await api.caller("reader", readers="admin"),
        "approver": await api.with_token("approver", Scope.APPROVE),
        "writer": await api.caller("writer", writers="admin", readers="member"),
        "admin": await api.caller("admin", owners="admin"),
        "global": await api.caller("global", operators="member"),
        "local": api.local,
    }
    api.write("UPDATE tokens SET expires_at = 1 WHERE user_id = 'expired'")
    return Stage(api, callers)


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_route_has_a_row() -> None:
    assert {name(route) for route in ROUTES} == set(EXPECTED)
    assert set(RULES) == set(Action)


def test_every_action_has_a_route() -> None:
    assert {route.action for route in ROUTES} == set(Action)


GUESSING = [route for route in ROUTES if route.path in ("/auth/password", "/auth/token")]
"""Wrong passwords of one address are counted, so these have a server of their own."""


@pytest.mark.parametrize("route", [route for route in ROUTES if route not in GUESSING], ids=name)
@pytest.mark.asyncio(loop_scope="module")
async def test_each_caller_gets_the_expected_status(shared_stage: Stage, route: Route) -> None:
    await assert_expected(shared_stage, route)


@pytest.mark.parametrize("route", GUESSING, ids=name)
async def test_each_caller_gets_the_expected_status_of_a_login(stage: Stage, route: Route) -> None:
    await assert_expected(stage, route)


async def assert_expected(stage: Stage, route: Route) -> None:
    found = {}
    before = len(audited(stage.api))
    for caller in CALLERS:
        api = stage.api
        fork = route.action is Action.APPROVE
        job_id = (await api.open_job("app", fork=fork)).id if "{job}" in route.path else ""
        api.write(
            "INSERT OR IGNORE INTO secrets VALUES (?, NULL, 'KEY', x'00', 0, 0), (?, 'app', 'KEY', x'00', 0, 0)",
            f"global-{caller}",
            f"own-{caller}",
        )
        words = {
            "forge": "github",
            "pipeline": "app",
            "job": job_id,
            "key": "KEY",
            "badge": "app.svg",
            "page": "none",
            "artifact": "none",
            "cache": "none",
            "session": "none",
            "shell": "0" * 32,
            "token": "none",
            "user": "none",
        }
        path = route.path.replace("{rest*}", "auth").format(**words) + QUERIES.get(name(route), "")
        found[caller] = await status_of(stage.callers[caller], route, path)
        api.parts.jobs.draining.since = None
    assert name(route) in EXPECTED, "add a row to EXPECTED: READ, WRITE, ADMIN, or a status for each of CALLERS"
    expected = dict(zip(CALLERS, map(int, EXPECTED[name(route)].split()), strict=True))
    assert found == expected
    assert audited(stage.api)[before:] == expected_in_audit(route)


def audited(api: Api) -> list[str]:
    """The callers in the audit log, oldest first."""
    rows = api.parts.store.database.read("SELECT actor FROM audit ORDER BY sequence")
    return [row["actor"].partition("@")[0] for row in rows]


def expected_in_audit(route: Route) -> list[str]:
    """Every write and every read of secrets, refused or not, by authenticated callers; and every login, by its
    address."""
    if "email" in dict(BODIES.get(name(route), {})):  # type: ignore[call-overload]
        return ["unknown"] * len(CALLERS)
    if RULES[route.action].need is Need.NOTHING:
        return []
    if route.method == "GET" and route.action not in (Action.SEE_SECRET_NAMES, Action.SEE_GLOBAL_SECRET_NAMES):
        return []
    return ["local-administrator" if caller == "local" else caller for caller in CALLERS[2:]]


async def status_of(caller: Caller, route: Route, path: str) -> int:
    if route.path.endswith("/events"):
        return await first_status(caller, path)
    if route.method == "PUT":
        answer = await caller.send("PUT", path, data=b"a secret value")
    elif route.method == "POST":
        answer = await caller.post(path, BODIES.get(name(route)))
    else:
        answer = await caller.send(route.method, path)
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert all(answer.json[field] for field in ("title", "reference", "hint", "request_id")), answer.json
    return answer.status


async def first_status(caller: Caller, path: str) -> int:
    """The status of a stream, which does not end by itself."""
    connector = aiohttp.UnixConnector(str(caller.socket)) if caller.socket else aiohttp.TCPConnector()
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(caller.address + path, headers=caller.headers) as response,
    ):
        return response.status


async def test_lists_leave_out_what_the_caller_may_not_see(stage: Stage) -> None:
    job = await stage.api.open_job("app")
    for who, visible in (("other", False), ("reader", True), ("global", True)):
        caller = stage.callers[who]
        jobs = [one["id"] for one in (await caller.get("/api/v1/jobs")).json["jobs"]]
        pipelines = [one["name"] for one in (await caller.get("/api/v1/pipelines")).json["pipelines"]]
        assert (job.id in jobs) is visible
        assert ("app" in pipelines) is visible
        wanted = (await caller.get("/api/v1/jobs?pipeline=app")).json["jobs"]
        assert bool(wanted) is visible


async def test_what_the_caller_may_not_see_is_answered_like_what_does_not_exist(stage: Stage) -> None:
    job = await stage.api.open_job("app")
    other = stage.callers["other"]
    for existing, missing in (
        (f"/api/v1/jobs/{job.id}", f"/api/v1/jobs/{'0' * 26}"),
        ("/api/v1/pipelines/app", "/api/v1/pipelines/xyz"),
    ):
        hidden, absent = (await other.get(existing)).json, (await other.get(missing)).json
        assert hidden["title"].replace(job.id, "X").replace("app", "X") == absent["title"].replace(
            "0" * 26, "X"
        ).replace("xyz", "X")
        assert hidden["reference"] == absent["reference"]


async def test_a_change_of_membership_counts_from_the_next_request(stage: Stage) -> None:
    other = stage.callers["other"]
    assert (await other.get("/api/v1/pipelines/app")).status == 404
    stage.api.write("INSERT INTO team_members VALUES ('readers', 'other', 'member')")
    assert (await other.get("/api/v1/pipelines/app")).status == 200
    stage.api.write("DELETE FROM team_members WHERE user_id = 'other'")
    assert (await other.get("/api/v1/pipelines/app")).status == 404


async def test_a_user_who_leaves_the_configuration_loses_access_at_once(stage: Stage) -> None:
    session = await stage.api.with_session("reader")
    assert (await session.get("/api/v1/jobs")).status == 200
    stage.api.write("UPDATE users SET removed_at = 1 WHERE id = 'reader'")
    assert (await session.get("/api/v1/jobs")).status == 401
    assert (await stage.callers["reader"].get("/api/v1/jobs")).status == 401


async def test_members_of_the_owning_team_write_and_its_admins_set_secrets(stage: Stage) -> None:
    member = await stage.api.caller("member", owners="member")
    assert (await member.post("/api/v1/pipelines/app/jobs")).status == 201
    assert (await member.send("PUT", "/api/v1/pipelines/app/secrets/KEY", data=b"a value")).status == 403


def test_needs_are_in_order() -> None:
    assert sorted(Need) == [Need.NOTHING, Need.LOGIN, Need.READ, Need.WRITE, Need.ADMIN, Need.GLOBAL_ADMIN]
