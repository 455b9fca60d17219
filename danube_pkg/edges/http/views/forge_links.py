"""Addresses at forges, for what the configuration in force knows of them."""

from danube_pkg.core.errors import Place
from danube_pkg.core.repositories.forge_links import ForgePages, forge_pages
from danube_pkg.services.configuration.sync import Configuration


def pages_of(repository: str, configuration: Configuration | None) -> ForgePages | None:
    """A repository's pages, by the rules of the configuration; None where they are not known."""
    return forge_pages(repository, configuration.config.git_authentication if configuration is not None else ())


def commit_url(repository: str, configuration: Configuration | None, commit_sha: str) -> str:
    """Of a commit; "" where it is not known."""
    pages = pages_of(repository, configuration)
    return pages.commit(commit_sha) if pages is not None else ""


def file_url(configuration: Configuration | None, revision: str, place: Place | None) -> str:
    """Of a place in the configuration as that revision has it; "" where it is not known."""
    if configuration is None or place is None:
        return ""
    pages = pages_of(configuration.circumstances.repository.url, configuration)
    return pages.file(revision, place.file, place.line) if pages is not None else ""
