"""The rules of `git_authentication`: which credential is used for which repositories; the first match applies.

Without a match the server's deploy key is used for ssh, and no credential for https.
"""

from typing import Annotated, ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.kit.records import Record

_NAME = rule("Shown on a job's page as the rule that was used.", **patterns.name)
_MATCH = rule(
    "Repositories as HOST/PATH without scheme, user and .git; * stands for any text, / included.",
    pattern=r"(?!\w+://)\S+",
    expects="HOST/PATH without a scheme",
    example="github.com/myorg/*",
)
_MANAGE = rule(
    "Whether the server may make and repair webhooks of the repositories that match, where `webhooks` says `manage`; the "
    "credential needs the right for it."
)


class GithubApp(Record):
    """An installation of a GitHub App; its tokens last one hour and are created when they are needed."""

    TYPE: ClassVar[str] = "github_app"
    name: Annotated[str, _NAME]
    app_id: Annotated[str, rule("The App's ID.", pattern=r"[0-9A-Za-z.]+", expects="an App's ID")]
    installation_id: Annotated[str, rule("The installation's ID.", pattern=r"[0-9]+", expects="digits in quotes")]
    private_key_secret: Annotated[str, rule("The secret with the App's private key (PEM).", **patterns.secret)]
    match_patterns: Annotated[tuple[str, ...], _MATCH]
    api_url: Annotated[str, rule("The API; of GitHub Enterprise https://HOST/api/v3.", **patterns.web_url)] = (
        "https://api.github.com"
    )
    manage: Annotated[bool, _MANAGE] = False


class GitlabToken(Record):
    """A project, group or personal access token of GitLab with read_repository."""

    TYPE: ClassVar[str] = "gitlab_token"
    name: Annotated[str, _NAME]
    url: Annotated[str, rule("The GitLab server.", **(patterns.web_url | {"example": "https://gitlab.com"}))]
    token_secret: Annotated[str, rule("The secret with the token.", **patterns.secret)]
    match_patterns: Annotated[tuple[str, ...], _MATCH]
    manage: Annotated[bool, _MANAGE] = False


class SshKey(Record):
    """A private key, as a file on the server or as a secret."""

    TYPE: ClassVar[str] = "ssh_key"
    name: Annotated[str, _NAME]
    match_patterns: Annotated[tuple[str, ...], _MATCH]
    private_key_path: Annotated[
        str,
        rule(
            "A file of the server, mode 0600.",
            pattern=r"|/\S.*",
            expects="an absolute path on the server",
            example="/var/lib/danube/keys/git_fallback_key",
        ),
    ] = ""
    private_key_secret: Annotated[str, rule("The secret with the key.", **patterns.secret)] = ""


class HttpsToken(Record):
    """A user name and a token (or password) for basic authentication: Gitea, Forgejo, Bitbucket and others."""

    TYPE: ClassVar[str] = "https_token"
    name: Annotated[str, _NAME]
    token_secret: Annotated[str, rule("The secret with the token.", **patterns.secret)]
    match_patterns: Annotated[tuple[str, ...], _MATCH]
    username: Annotated[
        str,
        rule(
            "The user name; many forges take any.",
            pattern=r"[^\s:@]+",
            expects="a user name without ':' and '@'",
        ),
    ] = "git"
    forge: Annotated[
        str,
        rule(
            "The forge's kind, where commit statuses are wanted: github, gitlab, gitea or forgejo.",
            pattern="|github|gitlab|gitea|forgejo",
            expects="one of github, gitlab, gitea, forgejo",
        ),
    ] = ""
    api_url: Annotated[
        str,
        rule(
            "The forge's API, where it is not below https://HOST of the repository: with another host or port, below a "
            "path. Of Gitea and Forgejo https://HOST/api/v1, of GitLab https://HOST/api/v4, of GitHub Enterprise "
            "https://HOST/api/v3.",
            **(patterns.web_url | {"example": "https://git.example.org/api/v1"}),
        ),
    ] = ""
    manage: Annotated[bool, _MANAGE] = False


GitAuthentication = GithubApp | GitlabToken | SshKey | HttpsToken
