"""Which rule applies to a repository, and which forge it is on."""

import pytest

from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.credentials import rule_for
from danube_pkg.core.repositories.forges import (
    CommitState,
    CommitStatus,
    forge_project,
    status_request,
)
from danube_pkg.core.repositories.git_authentication import (
    GitAuthentication,
    GithubApp,
    GitlabToken,
    HttpsToken,
    SshKey,
)

APP = GithubApp("app", "1", "2", "key", ("github.com/myorg/*",))
LAB = GitlabToken("lab", "https://gitlab.example.org", "t", ("gitlab.example.org/*",))
GITEA = HttpsToken("gitea", "t", ("gitea.example.org:3000/*",), forge="gitea")
PLAIN = HttpsToken("plain", "t", ("*.example.org/*",))
KEY = SshKey("fallback", ("*",), private_key_path="/key")
RULES: tuple[GitAuthentication, ...] = (APP, LAB, GITEA, PLAIN, KEY)


@pytest.mark.parametrize(
    ("repository", "rule"),
    [
        ("https://github.com/myorg/frontend", "app"),
        ("https://GitHub.com/MyOrg/frontend.git", "app"),
        ("https://github.com/myorg/group/deep", "app"),
        ("https://github.com/other/frontend", None),
        ("https://github.com/myorganisation/frontend", None),
        ("https://github.com.example.net/myorg/frontend", None),
        ("git@github.com:myorg/frontend.git", "fallback"),
        ("ssh://git@gitlab.example.org/a/b", "fallback"),
        ("https://gitlab.example.org/a/b/c.git", "lab"),
        ("https://gitea.example.org:3000/a/b", "gitea"),
        ("https://gitea.example.org/a/b", "plain"),
        ("git://github.com/myorg/frontend", None),
        ("/srv/app", None),
    ],
)
def test_the_first_rule_that_matches_url_and_scheme_is_used(repository: str, rule: str | None) -> None:
    found = rule_for(repository, RULES)
    assert (found.name if found is not None else None) == rule


def test_a_token_is_not_sent_unencrypted() -> None:
    with pytest.raises(Permanent, match="plain http") as refused:
        rule_for("http://gitlab.example.org/a/b", RULES)
    assert "https" in refused.value.hint
    local = HttpsToken("local", "t", ("127.0.0.1:8080/*",))
    assert rule_for("http://127.0.0.1:8080/a.git", (local,)) is local


@pytest.mark.parametrize(
    ("repository", "url", "headers", "state"),
    [
        (
            "git@github.com:myorg/app.git",
            "https://api.github.com/repos/myorg/app/statuses/c0ffee",
            {"Authorization": "Bearer s3cret", "Accept": "application/json"},
            "error",
        ),
        (
            "https://gitlab.example.org/group/sub/app",
            "https://gitlab.example.org/api/v4/projects/group%2Fsub%2Fapp/statuses/c0ffee",
            {"PRIVATE-TOKEN": "s3cret"},
            "canceled",
        ),
        (
            "https://gitea.example.org:3000/team/app",
            "https://gitea.example.org:3000/api/v1/repos/team/app/statuses/c0ffee",
            {"Authorization": "token s3cret", "Accept": "application/json"},
            "error",
        ),
    ],
)
def test_each_forge_has_its_own_request(repository: str, url: str, headers: dict[str, str], state: str) -> None:
    project = forge_project(repository, RULES)
    assert project is not None
    status = CommitStatus(CommitState.CANCELLED, "danube/app", "x" * 200, "https://ci.example.org/jobs/1")
    request = status_request(project, "c0ffee", status, "s3cret")
    assert (request.url, request.headers) == (url, headers)
    assert request.body["state"] == state
    assert len(str(request.body["description"])) == 140
    assert request.body["target_url"] == "https://ci.example.org/jobs/1"
    assert "s3cret" not in repr(request)


def test_a_repository_without_an_api_has_no_forge() -> None:
    assert forge_project("https://code.example.org/a", RULES) is None
    assert forge_project("/srv/app", RULES) is None


@pytest.mark.parametrize(
    ("repository", "given", "api_url"),
    [
        ("https://git.example.org/team/app", "", "https://git.example.org/api/v1"),
        ("https://git.example.org:8443/team/app", "", "https://git.example.org:8443/api/v1"),
        ("http://127.0.0.1:3000/team/app", "", "http://127.0.0.1:3000/api/v1"),
        ("ssh://git@git.example.org:2222/team/app.git", "", "https://git.example.org/api/v1"),
        ("git@git.example.org:team/app.git", "", "https://git.example.org/api/v1"),
        ("ssh://git@127.0.0.1:12222/team/app", "http://127.0.0.1:3000/git/api/v1/", "http://127.0.0.1:3000/git/api/v1"),
    ],
)
def test_the_api_of_a_token_is_given_or_on_the_host_of_the_repository(
    repository: str, given: str, api_url: str
) -> None:
    rule = HttpsToken("forge", "token", ("*",), forge="gitea", api_url=given)
    found = forge_project(repository, (SshKey("key", ("*",), "/key"), rule))
    assert found is not None
    assert (found.api_url, found.project) == (api_url, "team/app")
