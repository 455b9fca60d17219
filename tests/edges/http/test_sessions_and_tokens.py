"""Sessions of browsers and tokens of scripts: how they begin and end."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.adapters.passwords import bcrypt_hashes
from danube_pkg.core.identity.access import Scope
from danube_pkg.services.identity import passwords
from tests.edges.http.api import (
    PASSWORD,
    Answer,
    Api,
    Caller,
    open_api,
)


def cookie_of(answer: Answer) -> str:
    """`name=value` of the cookie that the answer sets."""
    return answer.headers["set-cookie"].partition(";")[0]


async def log_in(api: Api, name: str, password: str = PASSWORD, **headers: str) -> Answer:
    return await api.anonymous.post("/auth/password", {"email": f"{name}@example.com", "password": password}, **headers)


async def in_browser(api: Api, name: str) -> Caller:
    """A browser that has logged in with a password, as the page does it."""
    answer = await log_in(api, name)
    assert answer.status == 204, answer.body
    caller = Caller(name, api.address, headers={"cookie": cookie_of(answer)})
    caller.headers["x-csrf-token"] = (await caller.get("/api/v1/me")).json["csrf_token"]
    return caller


async def test_a_password_makes_a_session_and_logout_ends_it(api: Api) -> None:
    api.user("alice")
    alice = await in_browser(api, "alice")
    assert (await alice.get("/api/v1/me")).json["name"] == "alice@example.com"
    assert (await alice.post("/auth/logout")).status == 204
    assert (await alice.get("/api/v1/me")).status == 401


async def test_the_cookie_is_hidden_from_scripts_and_other_sites(api: Api) -> None:
    api.user("alice")
    parts = (await log_in(api, "alice")).headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(parts)


async def test_a_login_rotates_the_session(api: Api) -> None:
    api.user("alice")
    first = await in_browser(api, "alice")
    second = await log_in(api, "alice", cookie=first.headers["cookie"])
    assert cookie_of(second) != first.headers["cookie"]
    assert (await first.get("/api/v1/me")).status == 401


async def test_an_unknown_address_and_a_wrong_password_have_the_same_answer(api: Api) -> None:
    api.user("alice")
    wrong, unknown = await log_in(api, "alice", "wrong"), await log_in(api, "mallory", "wrong")
    assert wrong.status == unknown.status == 401
    assert {**wrong.json, "request_id": ""} == {**unknown.json, "request_id": ""}


async def test_guesses_for_an_account_are_limited_even_if_the_last_is_right(api: Api) -> None:
    api.user("alice")
    answers = [await log_in(api, "alice", f"guess {n}") for n in range(passwords.ACCOUNT_TRIES)]
    assert {answer.status for answer in answers} == {401}
    refused = await log_in(api, "alice")
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= passwords.WINDOW_SECONDS + 1


async def test_a_write_by_cookie_needs_the_token_of_its_session(api: Api) -> None:
    api.team("core")
    api.pipeline("app", owner="core")
    api.user("alice", core="admin")
    alice, other = await in_browser(api, "alice"), await in_browser(api, "alice")
    path = "/api/v1/pipelines/app/jobs"
    assert (await alice.post(path)).status == 201
    for forged in ("", "0" * 64, other.headers["x-csrf-token"]):
        refused = await alice.post(path, x_csrf_token=forged)
        assert (refused.status, refused.reference) == (403, "csrf-token")


async def test_a_page_of_another_site_can_neither_write_nor_log_a_user_in(api: Api) -> None:
    api.user("alice")
    alice = await in_browser(api, "alice")
    for headers in ({"sec_fetch_site": "cross-site"}, {"origin": "https://evil.example"}):
        assert (await alice.post("/auth/logout", **headers)).reference == "other-origin"
        assert (await log_in(api, "alice", **headers)).reference == "other-origin"


async def test_idle_and_old_sessions_end(api: Api) -> None:
    api.user("alice")
    young, old = await api.with_session("alice", age_seconds=10), await api.with_session("alice", age_seconds=3601)
    idle = await api.with_session("alice", age_seconds=10)
    assert (await young.get("/api/v1/me")).status == 200
    assert (await old.get("/api/v1/me")).status == 401
    api.write("UPDATE sessions SET seen_at = seen_at - 13 * 3600")
    assert (await idle.get("/api/v1/me")).status == 401


async def test_users_see_and_end_their_own_sessions(api: Api) -> None:
    api.user("alice")
    here, elsewhere = await in_browser(api, "alice"), await in_browser(api, "alice")
    sessions = (await here.get("/api/v1/sessions")).json["sessions"]
    assert [one["current"] for one in sessions].count(True) == 1
    (other,) = [one["id"] for one in sessions if not one["current"]]
    assert (await here.send("DELETE", f"/api/v1/sessions/{other}")).status == 204
    assert (await elsewhere.get("/api/v1/me")).status == 401


async def test_a_token_is_shown_once_and_its_hash_is_kept(api: Api) -> None:
    alice = await api.caller("alice")
    made = (await alice.post("/api/v1/tokens", {"name": "laptop", "scopes": ["read"], "days": 7})).json
    script = Caller("script", api.address, headers={"authorization": f"Bearer {made['token']}"})
    assert (await script.get("/api/v1/jobs")).status == 200
    listed = (await alice.get("/api/v1/tokens")).body
    assert made["token"].encode() not in listed
    (laptop,) = [one for one in (await alice.get("/api/v1/tokens")).json["tokens"] if one["name"] == "laptop"]
    assert laptop["used_at"] is not None
    files = [path for path in api.path.glob("danube.db*") if made["token"].encode() in path.read_bytes()]
    assert files == []
    assert (await alice.send("DELETE", f"/api/v1/tokens/{laptop['id']}")).status == 204
    assert (await script.get("/api/v1/jobs")).status == 401


async def test_an_administrator_ends_the_sessions_and_revokes_the_tokens_of_a_user(api: Api) -> None:
    api.user("bob")
    script, browser = await api.caller("alice"), await api.with_session("alice")
    of_bob = await api.with_session("bob")
    assert (await api.local.send("DELETE", "/api/v1/users/Alice@example.com/sessions")).json == {"ended": 1}
    assert [(await one.get("/api/v1/me")).status for one in (browser, script, of_bob)] == [401, 200, 200]
    assert (await api.local.send("DELETE", "/api/v1/users/alice/tokens")).json == {"ended": 1}
    assert (await script.get("/api/v1/me")).status == 401
    assert (await api.local.send("DELETE", "/api/v1/users/carol/tokens")).reference == "user-unknown"


async def test_a_token_cannot_create_one_with_more_scopes(api: Api) -> None:
    api.user("alice")
    limited = await api.with_token("alice", Scope.ADMIN, Scope.READ)
    assert (await limited.post("/api/v1/tokens", {"name": "x", "scopes": ["read"]})).status == 201
    refused = await limited.post("/api/v1/tokens", {"name": "x", "scopes": ["secrets"]})
    assert (refused.status, refused.reference) == (403, "token-scope")


async def test_the_command_line_gets_a_token_for_a_password(api: Api) -> None:
    api.user("alice")
    body = {"email": "Alice@Example.com", "password": PASSWORD, "token": {"name": "cli", "scopes": ["read"], "days": 1}}
    made = await api.anonymous.post("/auth/token", body)
    assert made.status == 201
    caller = Caller("alice", api.address, headers={"authorization": f"Bearer {made.json['token']}"})
    assert (await caller.get("/api/v1/me")).json["scopes"] == ["read"]


async def test_the_server_answers_during_many_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcrypt_hashes, "UNKNOWN_PASSWORD", bcrypt_hashes.stand_in("$2b$12$"))
    async with open_api(tmp_path) as api, asyncio.TaskGroup() as group:
        logins = [group.create_task(log_in(api, f"user{n}"), name=f"login {n}") for n in range(8)]
        assert (await api.anonymous.get("/health")).status == 200
        assert not all(login.done() for login in logins)
    assert {login.result().status for login in logins} <= {401, 429, 503}


async def test_over_https_the_cookie_is_bound_to_https_and_to_the_host(tmp_path: Path) -> None:
    """A reverse proxy on this machine terminates TLS, which the server knows from `external_url`."""
    async with open_api(tmp_path, people=["alice"], external_url="https://ci.example.org") as api:
        answer = await log_in(api, "alice", x_forwarded_for="192.0.2.7")
        assert answer.status == 204
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-danube_session=ds1_")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert "strict-transport-security" in answer.headers
        alice = Caller("alice", api.address, headers={"cookie": cookie_of(answer)})
        (session,) = (await alice.get("/api/v1/sessions")).json["sessions"]
        assert session["address"] == "192.0.2.7"


async def test_a_password_is_refused_over_plain_http_from_another_machine(tmp_path: Path) -> None:
    async with open_api(tmp_path, people=["alice"], external_url="http://ci.example.org") as api:
        refused = await log_in(api, "alice", x_forwarded_for="192.0.2.7")
        assert (refused.status, refused.reference) == (403, "password-in-clear")
        assert "certificate" in refused.json["hint"]
        assert (await log_in(api, "alice")).status == 204


async def test_me_has_the_actions_that_are_allowed_on_any_pipeline(api: Api) -> None:
    for team in ("core", "readers", "elsewhere"):
        api.team(team)
    api.pipeline("app", owner="core", levels={"readers": "read"})
    api.pipeline("site", levels={"readers": "read"})

    async def may_somewhere(caller: Caller) -> set[str]:
        return set((await caller.get("/api/v1/me")).json["may_somewhere"])

    owner, member = await api.caller("owner", core="admin"), await api.caller("member", core="member")
    reader, outsider = await api.caller("reader", readers="member"), await api.caller("outsider", elsewhere="admin")
    wanted = {"see-job", "trigger", "see-secret-names", "set-secrets", "drain"}
    assert await may_somewhere(owner) & wanted == {"see-job", "trigger", "see-secret-names", "set-secrets"}
    assert await may_somewhere(member) & wanted == {"see-job", "trigger", "see-secret-names"}
    assert await may_somewhere(reader) & wanted == {"see-job"}
    assert await may_somewhere(outsider) & wanted == set()
    assert await may_somewhere(api.local) >= wanted
    api.write("UPDATE pipeline_permissions SET level = 'write' WHERE pipeline_id = 'id-site'")
    assert await may_somewhere(reader) & wanted == {"see-job", "trigger", "see-secret-names"}
