"""Links to a repository's pages on its forge: commits, and files at a line.

The kind of forge is taken from a rule of git_authentication with an API, from a known host (github.com, codeberg.org),
or from the first part of the host's name (gitlab.example.org).
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from danube_pkg.core.repositories.forges import Forge, forge_project
from danube_pkg.core.repositories.git_authentication import GitAuthentication
from danube_pkg.core.repositories.urls import canonical, is_remote, scheme_of
from danube_pkg.kit.records import Record

_HOSTS = {
    "github.com": Forge.GITHUB,
    "gitlab.com": Forge.GITLAB,
    "gitea.com": Forge.GITEA,
    "codeberg.org": Forge.FORGEJO,
}
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class ForgePages(Record):
    """The pages of a repository. address: its URL without a trailing slash."""

    forge: Forge
    address: str

    def commit(self, commit_sha: str) -> str:
        """The URL of a commit's page; "" for a text that is not a hash."""
        middle = "/-/commit" if self.forge is Forge.GITLAB else "/commit"
        return f"{self.address}{middle}/{commit_sha}" if _COMMIT.fullmatch(commit_sha) else ""

    def file(self, commit_sha: str, path: str, line: int = 0) -> str:
        """The URL of a file's page in a commit, at a line unless it is 0; "" for a text that is not a hash."""
        if not _COMMIT.fullmatch(commit_sha) or not path:
            return ""
        middle = {Forge.GITHUB: "/blob", Forge.GITLAB: "/-/blob"}.get(self.forge, "/src/commit")
        return f"{self.address}{middle}/{commit_sha}/{quote(path)}{f'#L{line}' if line else ''}"


def forge_pages(repository: str, rules: Sequence[GitAuthentication] = ()) -> ForgePages | None:
    """The pages of a repository; None for a directory, and for a host whose kind of forge is not known."""
    if not is_remote(repository):
        return None
    try:
        host, _, project = canonical(repository).partition("/")
        known = forge_project(repository, rules)
    except ValueError:
        return None  # not a valid URL: it came from a delivery
    scheme = scheme_of(repository)
    if scheme not in ("http", "https"):
        scheme, host = "https", host.partition(":")[0]  # the port is that of ssh
    forge = known.forge if known is not None else _HOSTS.get(host) or _called(host)
    return ForgePages(forge, f"{scheme}://{host}/{quote(project)}") if forge is not None and project else None


def _called(host: str) -> Forge | None:
    label = host.partition(".")[0]
    return Forge(label) if label in set(Forge) else None
