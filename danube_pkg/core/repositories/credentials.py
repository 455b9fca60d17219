"""Which credential is used for a repository: the first rule of `git_authentication` that matches its URL and scheme."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.git_authentication import GitAuthentication, SshKey
from danube_pkg.core.repositories.globs import matches_across
from danube_pkg.core.repositories.urls import as_url, canonical, scheme_of

DEPLOY_KEY = "deploy key"
"""The rule's name that is shown where the server's own key was used and no rule."""

CONFIG_TOKEN = "config_repo.token_secret"

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def rule_for(repository: str, rules: Sequence[GitAuthentication]) -> GitAuthentication | None:
    """The rule for a repository, or None. Rules with tokens apply to http and https, those with keys to ssh.

    Raises Permanent where a token would be sent unencrypted.
    """
    name, scheme = canonical(repository), scheme_of(repository)
    for rule in rules:
        fits = scheme == "ssh" if isinstance(rule, SshKey) else scheme in ("http", "https")
        if fits and any(matches_across(pattern, name) for pattern in rule.match_patterns):
            if not isinstance(rule, SshKey):
                refuse_clear_text(repository, rule.name)
            return rule
    return None


def refuse_clear_text(repository: str, rule: str) -> None:
    """Raises Permanent for a repository that is plain http, over which a token could be read, unless it is on this
    machine."""
    if scheme_of(repository) == "http" and urlsplit(as_url(repository)).hostname not in _LOOPBACK:
        raise Permanent(
            "source-unavailable",
            f"{repository} is plain http, and the rule {rule!r} would send a token over it",
            hint="write the repository's URL with https",
        )
