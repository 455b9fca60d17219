"""The forges' APIs that Danube uses: which forge a repository is on, and requests as data. Nothing here sends any.

GitHub: REST API, commit statuses and GitHub Apps. GitLab: commit status API v4. Gitea and Forgejo: API v1.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from danube_pkg.core.repositories.git_authentication import (
    GitAuthentication,
    GithubApp,
    GitlabToken,
    HttpsToken,
)
from danube_pkg.core.repositories.globs import matches_across
from danube_pkg.core.repositories.urls import canonical, scheme_of
from danube_pkg.kit.records import HIDDEN, Record, field


class Forge(StrEnum):
    """The supported forges."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    FORGEJO = "forgejo"


MAX_DESCRIPTION = 140
"""Characters of a description: GitHub's limit; the other forges allow more."""


class CommitState(StrEnum):
    """The state of a commit status; `status_request` translates it into each forge's words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    CANCELLED = "cancelled"


class CommitStatus(Record):
    """One status of a commit. context: a later status with the same context replaces it. target_url: "" for none.

    ref: the branch or tag, for GitLab, which would use the first branch otherwise.
    """

    state: CommitState
    context: str
    description: str
    target_url: str = ""
    ref: str = ""


class ForgeProject(Record):
    """A repository on its forge. rule: the rule whose credential is used for the API."""

    forge: Forge
    api_url: str
    project: str
    rule: GitAuthentication


class ApiRequest(Record):
    """A request, with a JSON body unless it is a GET. Its headers contain credentials, so repr() hides them."""

    url: str
    headers: Annotated[Mapping[str, str], HIDDEN]
    body: Mapping[str, object] = field(default_factory=dict)
    method: str = "POST"


_WORDS: Mapping[Forge, Mapping[CommitState, str]] = {
    Forge.GITHUB: {CommitState.RUNNING: "pending", CommitState.CANCELLED: "error"},
    Forge.GITLAB: {CommitState.FAILURE: "failed", CommitState.ERROR: "failed", CommitState.CANCELLED: "canceled"},
    Forge.GITEA: {CommitState.RUNNING: "pending", CommitState.CANCELLED: "error"},
    Forge.FORGEJO: {CommitState.RUNNING: "pending", CommitState.CANCELLED: "error"},
}


def forge_project(repository: str, rules: Sequence[GitAuthentication]) -> ForgeProject | None:
    """A repository's forge, by the first matching rule that has an API, regardless of the scheme; None without one."""
    host, _, project = canonical(repository).partition("/")
    scheme = "http" if scheme_of(repository) == "http" else "https"
    # The port of ssh and git is not that of the API.
    web_host = host if scheme_of(repository) in ("http", "https") else _without_port(host)
    for rule in rules:
        if not any(matches_across(pattern, f"{host}/{project}") for pattern in rule.match_patterns):
            continue
        match rule:
            case GithubApp(api_url=api_url):
                return ForgeProject(Forge.GITHUB, api_url.rstrip("/"), project, rule)
            case GitlabToken(url=url):
                return ForgeProject(Forge.GITLAB, f"{url.rstrip('/')}/api/v4", project, rule)
            case HttpsToken(forge=forge, api_url=given) if forge:
                api_url = given.rstrip("/") or _api_url(Forge(forge), scheme, web_host)
                return ForgeProject(Forge(forge), api_url, project, rule)
    return None


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host)


def _api_url(forge: Forge, scheme: str, host: str) -> str:
    if forge is Forge.GITHUB:
        return "https://api.github.com" if host == "github.com" else f"{scheme}://{host}/api/v3"
    return f"{scheme}://{host}/api/v4" if forge is Forge.GITLAB else f"{scheme}://{host}/api/v1"


def api_headers(project: ForgeProject, token: str) -> Mapping[str, str]:
    """What authenticates a request to the forge's API."""
    if project.forge is Forge.GITLAB:
        return {"PRIVATE-TOKEN": token}
    kind = "Bearer" if project.forge is Forge.GITHUB else "token"
    return {"Authorization": f"{kind} {token}", "Accept": "application/json"}


def status_request(project: ForgeProject, commit_sha: str, status: CommitStatus, token: str) -> ApiRequest:
    """The request that sets a commit's status."""
    state = _WORDS[project.forge].get(status.state, str(status.state))
    text = status.description
    text = text if len(text) <= MAX_DESCRIPTION else f"{text[: MAX_DESCRIPTION - 1]}…"
    body: dict[str, object] = {"state": state, "description": text, "context": status.context}
    if status.target_url:
        body["target_url"] = status.target_url
    headers = api_headers(project, token)
    if project.forge is Forge.GITLAB:
        name = quote(project.project, safe="")
        if status.ref.startswith(("refs/heads/", "refs/tags/")):
            body["ref"] = status.ref.split("/", 2)[2]
        return ApiRequest(f"{project.api_url}/projects/{name}/statuses/{commit_sha}", headers, body)
    return ApiRequest(f"{project.api_url}/repos/{quote(project.project)}/statuses/{commit_sha}", headers, body)


def installation_token_request(app: GithubApp, jwt: str, permissions: Mapping[str, str]) -> ApiRequest:
    """The request for a token of an App's installation that has only these permissions."""
    headers = {"Authorization": f"Bearer {jwt}", "Accept": "application/vnd.github+json"}
    url = f"{app.api_url.rstrip('/')}/app/installations/{app.installation_id}/access_tokens"
    return ApiRequest(url, headers, {"permissions": dict(permissions)})
