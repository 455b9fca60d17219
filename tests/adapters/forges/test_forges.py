"""Credentials by rule, with secrets as values, and a forge's API: tokens of a GitHub App, commit statuses, refusals."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from danube_pkg.adapters.forges.client import MAX_REDIRECTS, REDIRECTS, HttpForges
from danube_pkg.adapters.keys.keys import Keys, open_deploy_key
from danube_pkg.adapters.store import SqliteSecrets
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.configuration.state import State
from danube_pkg.core.errors import Invalid, NotFound, Permanent, Unauthenticated, Unavailable
from danube_pkg.core.repositories.forges import ApiRequest, CommitState, CommitStatus
from danube_pkg.core.repositories.git_authentication import (
    GithubApp,
    GitlabToken,
    HttpsToken,
    SshKey,
)
from danube_pkg.core.repositories.ports import CommitStatuses, ForgeApi, GitCredentials
from danube_pkg.core.repositories.revisions import Credential
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.services.repositories.commit_statuses import CommitStatusReporter
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.support.databases import open_new_database
from tests.support.git_servers import make_key
from tests.support.github_app import GithubApi
from tests.support.scripted_http import ReceivedRequest, http_response, scripted_http

URL = "https://github.com/myorg/app"


@dataclass
class Clock:
    """A clock that the test moves; it starts at the current time, which the forge uses."""

    at: float

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class ForgeSetup:
    """Everything that provides credentials."""

    api: GithubApi
    clock: Clock
    forges: HttpForges
    secrets: Secrets
    known: KnownValues
    config: ConfigSpec = field(default_factory=ConfigSpec)
    repository: ConfigRepository = field(default_factory=lambda: ConfigRepository("/config"))

    @property
    def credentials(self) -> ConfiguredCredentials:
        return ConfiguredCredentials(
            AppliedConfiguration(State(self.config)),
            self.repository,
            self.secrets,
            self.forges,
            self.clock,
            "/keys/deploy",
        )

    async def put(self, key: str, value: str) -> None:
        await self.secrets.set(SecretName(None, key), value.encode(), "test")


@pytest.fixture(scope="module")
def github() -> Iterator[GithubApi]:
    with GithubApi("4711") as api:
        yield api


@pytest.fixture
async def setup(github: GithubApi, tmp_path: Path) -> AsyncIterator[ForgeSetup]:
    github.tokens.clear()
    github.asked.clear()
    github.statuses.clear()
    github.answer_with = 0
    clock, known, forges = Clock(time.time()), KnownValues(), HttpForges()
    database = open_new_database(tmp_path / "danube.db")
    numbers = itertools.count()
    keys = Keys.open(tmp_path / "keys")
    secrets = Secrets(SqliteSecrets(database), keys, clock, lambda: f"s{next(numbers)}", known)
    app = GithubApp("the-app", "4711", "1", "app-key", ("github.com/myorg/*",), api_url=github.url)
    yield ForgeSetup(github, clock, forges, secrets, known, ConfigSpec(git_authentication=(app,)))
    await forges.close()
    await database.close()


async def test_an_app_token_is_cached_until_shortly_before_it_expires(setup: ForgeSetup) -> None:
    await setup.put("app-key", setup.api.private_key)
    credentials = setup.credentials
    first = await credentials.credential_for(URL)
    assert first == Credential("the-app", "x-access-token", setup.api.tokens[0])
    assert setup.known.redact(f"token {setup.api.tokens[0]}") == "token ***"
    setup.clock.at += 60
    assert await credentials.credential_for(URL) == first
    setup.api.token_seconds = 200
    try:
        short = setup.credentials
        one, other = await short.credential_for(URL), await short.credential_for(URL)
    finally:
        setup.api.token_seconds = 3600
    assert one != other, "a token that expires in less than five minutes is not used for another fetch"


async def test_a_token_for_statuses_has_no_other_permission(setup: ForgeSetup) -> None:
    await setup.put("app-key", setup.api.private_key)
    statuses = CommitStatusReporter(AppliedConfiguration(State(setup.config)), setup.credentials, setup.forges)
    await statuses.publish(URL, "c0ffee", CommitStatus(CommitState.SUCCESS, "danube/configuration", "applied"))
    assert setup.api.asked == [{"permissions": {"statuses": "write"}}]
    assert setup.api.statuses == [
        (
            "/repos/myorg/app/statuses/c0ffee",
            f"Bearer {setup.api.tokens[0]}",
            {"state": "success", "description": "applied", "context": "danube/configuration"},
        )
    ]
    with pytest.raises(NotFound):
        await statuses.publish("/srv/app", "c0ffee", CommitStatus(CommitState.SUCCESS, "x", "y"))


async def test_simultaneous_callers_share_one_token_request(setup: ForgeSetup) -> None:
    await setup.put("app-key", setup.api.private_key)
    credentials = setup.credentials
    found = await asyncio.gather(*(credentials.credential_for(URL) for _ in range(20)))
    assert len(setup.api.tokens) == len(set(found)) == 1


async def test_errors_have_a_hint_and_do_not_quote_the_key(setup: ForgeSetup) -> None:
    with pytest.raises(Permanent, match="needs the secret 'app-key', which is not set") as refused:
        await setup.credentials.credential_for(URL)
    assert refused.value.hint == "danube secrets set app-key"
    await setup.put("app-key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow-not-a-key\n-----END RSA PRIVATE KEY-----\n")
    with pytest.raises(Invalid, match="is not an RSA key") as invalid:
        await setup.credentials.credential_for(URL)
    assert "MIIEow" not in f"{invalid.value} {invalid.value.hint}"
    with GithubApi("other") as other_app:
        await setup.put("app-key", other_app.private_key)
        with pytest.raises(Permanent, match="401"):
            await setup.credentials.credential_for(URL)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Unauthenticated), (404, Unauthenticated), (422, Permanent), (429, Unavailable), (503, Unavailable)],
)
async def test_a_forges_status_is_a_permanent_or_temporary_error(
    setup: ForgeSetup, status: int, kind: type[Exception]
) -> None:
    setup.api.answer_with = status
    with pytest.raises(kind, match=str(status)):
        await setup.forges.post(ApiRequest(f"{setup.api.url}/x", {"Authorization": "Bearer tok"}, {}))
    with pytest.raises(Unavailable):
        await setup.forges.post(ApiRequest("http://127.0.0.1:1/x", {}, {}))


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_within_the_origin_is_followed_with_the_token(setup: ForgeSetup, status: int) -> None:
    def respond(request: ReceivedRequest) -> bytes:
        if request.target == "/new":
            return http_response(201, b'{"id": 1}')
        return http_response(status, b"", ("Location", "/new"))

    async with scripted_http(respond) as server:
        request = ApiRequest(f"{server.url}/old", {"Authorization": "Bearer tok"}, {"a": 1})
        assert await setup.forges.post(request) == {"id": 1}
        sent = [(one.method, one.headers["authorization"], one.body) for one in server.requests]
        assert sent == [("POST", "Bearer tok", b'{"a": 1}')] * 2


async def test_a_redirect_elsewhere_or_in_a_circle_is_a_refusal(setup: ForgeSetup) -> None:
    async with scripted_http(lambda request: http_response(201)) as other:
        for location in (f"{other.url}/new", "/again", ""):

            def respond(request: ReceivedRequest, location: str = location) -> bytes:
                return http_response(301, b"", ("Location", location + ("x" if request.target == "/again" else "")))

            async with scripted_http(respond) as server:
                with pytest.raises(Permanent, match="301"):
                    await setup.forges.post(ApiRequest(f"{server.url}/old", {"Authorization": "Bearer tok"}, {}))
                assert len(server.requests) <= MAX_REDIRECTS + 1
        assert other.requests == []


async def test_a_netrc_entry_for_the_forge_is_ignored(
    setup: ForgeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    await setup.put("app-key", setup.api.private_key)
    assert (await setup.credentials.credential_for(URL)) == Credential("the-app", "x-access-token", setup.api.tokens[0])


async def test_an_error_about_a_secret_url_does_not_quote_it(setup: ForgeSetup) -> None:
    with pytest.raises(Unavailable) as failed:
        await setup.forges.send("the chat", "http://127.0.0.1:1/secret", {}, b"")
    assert str(failed.value) == "the chat cannot be reached now: not reached"
    with pytest.raises(Unavailable) as failed:
        await setup.forges.send("the chat", "http://secret:port/", {}, b"")
    assert str(failed.value) == "the chat cannot be reached now: url invalid"


async def test_each_rule_has_its_own_user_name(setup: ForgeSetup) -> None:
    for key in ("lab", "forge", "ssh"):
        await setup.put(key, f"value of {key}\n")
    setup.config = ConfigSpec(
        git_authentication=(
            GitlabToken("the-lab", "https://gitlab.example.org", "lab", ("gitlab.example.org/*",)),
            HttpsToken("the-forge", "forge", ("code.example.org/*",), username="builder"),
            SshKey("the-file", ("file.example.org/*",), private_key_path="/k"),
            SshKey("the-secret", ("secret.example.org/*",), private_key_secret="ssh"),
        )
    )
    setup.repository = ConfigRepository("https://config.example.org/c.git", username="robot", token_secret="lab")
    expected = {
        "https://gitlab.example.org/a": Credential("the-lab", "oauth2", "value of lab"),
        "https://code.example.org/a": Credential("the-forge", "builder", "value of forge"),
        "git@file.example.org:a": Credential("the-file", private_key_path="/k"),
        "git@secret.example.org:a": Credential("the-secret", private_key="value of ssh"),
        "git@other.example.org:a": Credential("deploy key", private_key_path="/keys/deploy"),
        "https://other.example.org/a": Credential(),
        "https://config.example.org/c": Credential("config_repo.token_secret", "robot", "value of lab"),
    }
    for url, credential in expected.items():
        assert await setup.credentials.credential_for(url) == credential
        assert "value of" not in repr(credential)


def test_the_deploy_key_is_created_once_and_refused_if_other_users_can_read_it(tmp_path: Path) -> None:
    line = open_deploy_key(tmp_path)
    assert line.startswith("ssh-ed25519 ")
    assert open_deploy_key(tmp_path) == line
    private, public = tmp_path / "git_deploy_key", tmp_path / "git_deploy_key.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    assert public.read_text().strip() == line
    public.unlink()
    assert open_deploy_key(tmp_path) == line
    assert public.read_text().strip() == line
    private.chmod(0o640)
    with pytest.raises(Permanent, match="is readable by other users"):
        open_deploy_key(tmp_path)
    private.write_text("no key\n")
    private.chmod(0o600)
    with pytest.raises(Permanent, match="is not an SSH key"):
        open_deploy_key(tmp_path)
    private.write_bytes(make_key(tmp_path / "ours").read_bytes())
    assert open_deploy_key(tmp_path) != line


def implements(
    credentials: ConfiguredCredentials, forges: HttpForges, statuses: CommitStatusReporter
) -> tuple[GitCredentials, ForgeApi, CommitStatuses]:
    """Checked by mypy."""
    return credentials, forges, statuses
