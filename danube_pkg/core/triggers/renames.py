"""Repositories that were renamed or moved at their forge: known by the forge's own id, which stays the same.

A forge redirects Git to the new name, so that builds by hand still work, but its webhooks name the new one, which no
pipeline has: nothing starts. A delivery of a known repository records its id; one of an unknown repository with a known
id is a rename.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.urls import as_url, is_remote, same_repository, scheme_of
from danube_pkg.core.triggers.webhooks.events import WebhookRepository
from danube_pkg.kit.records import Record


class KnownRepository(Record):
    """A repository of pipelines. host: of its first URL in a delivery; id: the forge's own on that host. configured:
    its URL in a pipeline; name, url: as the newest delivery has them."""

    source: str
    host: str
    id: int
    configured: str
    name: str
    url: str


def host_of(repository: WebhookRepository) -> str:
    """The host of the repository's first URL, with its port; "" where it has none."""
    return urlsplit(as_url(repository.urls[0])).netloc.rpartition("@")[2].lower() if repository.urls else ""


def url_like(configured: str, repository: WebhookRepository) -> str:
    """The repository's URL with the scheme of the configured one; its first URL where it has none with it."""
    wanted = scheme_of(configured)
    return next((url for url in repository.urls if is_remote(url) and scheme_of(url) == wanted), repository.urls[0])


def rename_conditions(known: Sequence[KnownRepository], pipelines: Mapping[str, PipelineDefinition]) -> list[Condition]:
    """A condition for each renamed repository that pipelines still have by its old URL, with the lines to change."""
    found = []
    for one in known:
        using = [each for each in pipelines.values() if same_repository(each.spec.repository, one.configured)]
        if not using or same_repository(one.url, one.configured):
            continue
        places = ", ".join(sorted(str(each.place) if each.place.file else each.name for each in using))
        found.append(
            Condition(
                "repository-renamed",
                f"{one.configured} is called {one.name} now at its forge: its webhooks start no job of "
                f"{', '.join(sorted(each.name for each in using))}",
                f"in {places}: repository: {one.url}",
            )
        )
    return found
