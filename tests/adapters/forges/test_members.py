"""Membership asked of a forge over HTTP, each time; whatever is not answered is the reason to wait for an approval."""

from collections.abc import Callable

import pytest

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import State
from danube_pkg.core.repositories.git_authentication import GitlabToken, HttpsToken
from danube_pkg.services.repositories.members import NOT_KNOWN, ForgeMembers
from tests.adapters.forges.test_forges import URL, ForgeSetup, github, setup
from tests.support.scripted_http import ReceivedRequest, http_response, scripted_http

__all__ = ["github", "setup"]

TOKEN = "t0ken-of-the-test"


def members(setup: ForgeSetup, config: ConfigSpec) -> ForgeMembers:
    return ForgeMembers(AppliedConfiguration(State(config)), setup.credentials, setup.forges)


@pytest.mark.parametrize("kind", ["github", "gitea", "forgejo", "gitlab"])
async def test_each_forge_is_asked_each_time(setup: ForgeSetup, kind: str) -> None:
    rights = [
        '{"permission": "write", "user": {"login": "carol"}}',
        '{"permission": "read", "user": {"login": "carol"}}',
    ]
    if kind == "gitlab":
        rights = [f'{{"id": 42, "state": "active", "access_level": {level}}}' for level in (30, 10)]
    await setup.put("forge-token", TOKEN)
    async with scripted_http(lambda request: http_response(200, rights[len(server.requests) - 1].encode())) as server:
        rule = HttpsToken("rule", "forge-token", ("git.test/*",), forge=kind, api_url=f"{server.url}/api")
        config = ConfigSpec(git_authentication=(rule,))
        if kind == "gitlab":
            config = ConfigSpec(git_authentication=(GitlabToken("rule", server.url, "forge-token", ("git.test/*",)),))
        setup.config = config
        asked = members(setup, config)
        assert await asked.why_not_member("https://git.test/team/app", "carol", 42) == ""
        assert await asked.why_not_member("https://git.test/team/app", "carol", 42) == (
            "carol may not write to the repository"
        )
        assert {request.method for request in server.requests} == {"GET"}
        path = (
            "/projects/team%2Fapp/members/all/42"
            if kind == "gitlab"
            else "/repos/team/app/collaborators/carol/permission"
        )
        assert all(request.target.endswith(path) for request in server.requests)
        assert all(TOKEN in str(request.headers) for request in server.requests)


UNASKED = "the forge could not be asked whether carol may write to the repository: "


@pytest.mark.parametrize(
    ("respond", "why"),
    [
        (lambda request: http_response(404, b"{}"), UNASKED),
        (lambda request: http_response(403, b"{}"), UNASKED),
        (lambda request: http_response(500, b"{}"), UNASKED),
        (lambda request: http_response(200, b"<html>"), "carol may not write to the repository"),
        (lambda request: b"this is not HTTP", UNASKED),
    ],
)
async def test_what_is_not_answered_is_a_reason(
    setup: ForgeSetup, respond: Callable[[ReceivedRequest], bytes], why: str
) -> None:
    await setup.put("forge-token", TOKEN)
    async with scripted_http(respond) as server:
        rule = HttpsToken("rule", "forge-token", ("git.test/*",), forge="gitea", api_url=server.url)
        setup.config = ConfigSpec(git_authentication=(rule,))
        found = await members(setup, setup.config).why_not_member("https://git.test/team/app", "carol", 42)
    assert found.startswith(why)
    assert TOKEN not in found


async def test_without_a_pusher_a_rule_or_a_secret_no_forge_is_asked(setup: ForgeSetup) -> None:
    assert await members(setup, setup.config).why_not_member(URL, "", 0) == NOT_KNOWN
    assert "no rule of git_authentication" in await members(setup, ConfigSpec()).why_not_member(URL, "carol", 42)
    assert UNASKED in await members(setup, setup.config).why_not_member(URL, "carol", 42)  # its key is not set
    assert setup.api.asked == []
