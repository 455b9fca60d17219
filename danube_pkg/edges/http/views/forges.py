"""What is missing at the forges: one check for each repository whose pipelines wait for webhooks."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso_or_none
from danube_pkg.services.triggers.forge_check import RepositoryCheck


class RepositoryCheckView(Record):
    """One repository at its forge."""

    repository: Annotated[str, about("HOST/PATH.")]
    pipelines: Annotated[tuple[str, ...], about("The pipelines that wait for its webhooks.")]
    forge: Annotated[str, about("github, gitlab, gitea or forgejo; empty if no rule of git_authentication says it.")]
    good: Annotated[bool, about("Whether nothing is left to do.")]
    read_problem: Annotated[str, about("Why it cannot be read; empty if it can.")]
    webhook_problem: Annotated[str, about("Why webhooks do not arrive; empty if they do.")]
    status_problem: Annotated[str, about("Why commit statuses cannot be set; empty if they can.")]
    missing_rights: Annotated[tuple[str, ...], about("Rights that the credential lacks.")]
    delivered_at: Annotated[Time | None, about("When the last webhook delivery arrived; null if none did.")]


class ForgeCheckView(Record):
    """The check of all repositories."""

    repositories: Annotated[tuple[RepositoryCheckView, ...], about("Sorted by name.")]


def forge_check_view(checks: Sequence[RepositoryCheck]) -> ForgeCheckView:
    """The answer."""
    return ForgeCheckView(
        tuple(
            RepositoryCheckView(
                repository=one.repository,
                pipelines=one.pipelines,
                forge=one.forge,
                good=one.is_good,
                read_problem=one.read_problem,
                webhook_problem=one.webhook_problem,
                status_problem=one.status_problem,
                missing_rights=one.missing,
                delivered_at=iso_or_none(one.arrived_at),
            )
            for one in checks
        )
    )
