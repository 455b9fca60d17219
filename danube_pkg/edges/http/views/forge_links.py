"""URLs of commits and files at forges, for repositories that the applied configuration knows."""

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import SourceLocation
from danube_pkg.core.repositories.forge_links import ForgePages, forge_pages


def pages_of(repository: str, applied: AppliedConfiguration) -> ForgePages | None:
    """A repository's pages; None if its forge is not known."""
    return forge_pages(repository, applied.config.git_authentication)


def commit_url(repository: str, applied: AppliedConfiguration, commit_sha: str) -> str:
    """A commit's page; "" if the forge is not known."""
    pages = pages_of(repository, applied)
    return pages.commit(commit_sha) if pages is not None else ""


def file_url(repository: str, applied: AppliedConfiguration, revision: str, place: SourceLocation | None) -> str:
    """The page of a line at a revision; "" if there is no place, or the forge is not known."""
    if place is None:
        return ""
    return line_url(pages_of(repository, applied), revision, place)


def line_url(pages: ForgePages | None, revision: str, place: SourceLocation | None) -> str:
    """As `file_url`, for pages that were found before."""
    return pages.file(revision, place.file, place.line) if pages is not None and place is not None else ""
