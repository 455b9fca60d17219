"""Errors on the command line: every finding of the API with its place and hint, and the pause of a rate limit."""

import json

import pytest
from aiohttp import web

from danube_pkg.services.identity import passwords
from tests.cli.shell import Shell, with_alice
from tests.edges.http.api import Api
from tests.edges.http.issuer import serving

TOO_LONG = "x" * 9000


@pytest.fixture
def api(api: Api) -> Api:
    return with_alice(api)


async def test_each_finding_has_a_line_and_its_hint(api: Api, shell: Shell) -> None:
    words = ("trigger", "app", "--param", f"first={TOO_LONG}", "--param", f"second={TOO_LONG}")
    shown = await shell.danube(*words, "--data", str(api.path), code=2)
    first, first_hint, second, second_hint = shown.splitlines()
    assert first.startswith("danube: the parameter 'first' is longer than")
    assert second.startswith("danube: the parameter 'second' is longer than")
    assert first_hint == second_hint
    assert first_hint.startswith("  hint: ")


async def test_each_finding_is_a_json_document(api: Api, shell: Shell) -> None:
    words = ("token", "create", "--name", "a\nb", "--expires", "0", "--json")
    shown = await shell.danube(*words, "--data", str(api.path), code=2)
    name, days = [json.loads(line) for line in shown.splitlines()]
    assert name.keys() == days.keys() == {"reference", "what", "place", "hint"}
    assert (name["reference"], name["place"], days["place"]) == ("input-invalid", "body", "body")
    assert name["what"].startswith("body: name")
    assert days["what"].startswith("body: days")


async def test_an_error_without_findings_has_its_cause_and_hint(api: Api, shell: Shell) -> None:
    shown = await shell.danube("logs", "absent", "--data", str(api.path), code=3)
    assert shown.startswith("danube: there is no job")
    assert "\n  hint: list them with: danube jobs" in shown


async def test_findings_have_their_file_and_line(shell: Shell) -> None:
    """From a server of the test, since Danube's own answers with files and lines in views, not in errors."""
    findings = [
        {"place": "pipelines/app.yaml:3", "what": "unknown key 'imge'", "cause": "", "hint": "did you mean 'image'?"},
        {"place": "teams.yaml", "what": "the file is empty", "cause": "", "hint": ""},
    ]
    document = {"reference": "configuration-invalid", "title": "2 findings", "detail": "", "hint": "", "place": ""}

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({**document, "findings": findings}, status=400)

    application = web.Application()
    application.router.add_get("/api/v1/jobs", refuse)
    async with serving(application) as url:
        shown = await shell.danube("jobs", "--server", url, code=2)
        documents = await shell.danube("jobs", "--server", url, "--json", code=2)
    assert shown == (
        "danube: pipelines/app.yaml:3: unknown key 'imge'\n"
        "  hint: did you mean 'image'?\n"
        "danube: teams.yaml: the file is empty\n"
    )
    assert [json.loads(line)["place"] for line in documents.splitlines()] == ["pipelines/app.yaml:3", "teams.yaml"]


async def test_a_rate_limit_says_when_to_try_again(api: Api, shell: Shell) -> None:
    login = {"email": "alice@example.com", "password": "wrong"}
    for _ in range(passwords.ACCOUNT_TRIES):
        assert (await api.anonymous.post("/auth/password", login)).status == 401
    words = ("login", api.address, "--email", "alice@example.com")
    shown = await shell.danube(*words, given="wrong\n", code=3)
    assert "\n  try again in " in shown
