"""Addresses at forges, for what the configuration in force knows of them."""

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import SourceLocation
from danube_pkg.core.repositories.forge_links import ForgePages, forge_pages


def pages_of(repository: str, applied: AppliedConfiguration) -> ForgePages | None:
    """A repository's pages, by the rules of the configuration; None where they are not known."""
    return forge_pages(repository, applied.config.git_authentication)


def commit_url(repository: str, applied: AppliedConfiguration, commit_sha: str) -> str:
    """Of a commit; "" where it is not known."""
    pages = pages_of(repository, applied)
    return pages.commit(commit_sha) if pages is not None else ""


def file_url(repository: str, applied: AppliedConfiguration, revision: str, place: SourceLocation | None) -> str:
    """The URL of a line of the configuration repository at a revision; "" where the forge is not known."""
    if place is None:
        return ""
    pages = pages_of(repository, applied)
    return pages.file(revision, place.file, place.line) if pages is not None else ""
