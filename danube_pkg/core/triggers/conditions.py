"""What a valid configuration asks for and cannot have: triggers that no webhook can start, statuses without an API.

One condition for each repository, since its pipelines share the cause.
"""

from collections.abc import Iterator, Sequence

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.configuration.state import PipelineDefinition, State
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forge_links import forge_pages
from danube_pkg.core.repositories.forges import forge_project
from danube_pkg.core.repositories.urls import is_remote

FROM_WEBHOOKS = frozenset({TriggerKind.PUSH, TriggerKind.TAG, TriggerKind.PULL_REQUEST})

MAX_NAMED = 3
"""Pipelines that a condition names; the others are counted."""


def trigger_conditions(state: State) -> list[Condition]:
    """The conditions of an applied configuration, by repository."""
    repositories: dict[str, list[PipelineDefinition]] = {}
    for one in state.pipelines.values():
        if any(trigger.kind in FROM_WEBHOOKS for trigger in one.spec.triggers):
            repositories.setdefault(one.spec.repository, []).append(one)
    return [found for name, using in sorted(repositories.items()) for found in _of_repository(name, using, state)]


def _of_repository(repository: str, using: Sequence[PipelineDefinition], state: State) -> Iterator[Condition]:
    names = _names(using)
    if not is_remote(repository):
        yield Condition(
            "webhook-missing",
            f"{names} waits for pushes, tags or pull requests, but {repository} is a directory, which sends no webhooks",
            "start it with danube trigger or a schedule, or name the repository by its URL at a forge",
        )
        return
    pages = forge_pages(repository, state.config.git_authentication)
    forges = [webhook.forge for webhook in state.config.webhooks if webhook.secrets or webhook.manage]
    if not forges or (pages is not None and pages.forge not in forges):
        forge = pages.forge if pages is not None else "FORGE"
        yield Condition(
            "webhook-missing",
            f"{names} waits for pushes, tags or pull requests of {repository}, but config.yaml has no webhook of "
            f"{forge if pages is not None else 'any forge'}",
            f"danube secrets set NAME, and in config.yaml: webhooks: [{{forge: {forge}, secrets: [NAME]}}]; see docs/triggers.md",
        )
    elif forge_project(repository, state.config.git_authentication) is None:
        yield Condition(
            "commit-status-impossible",
            f"{names} cannot set commit statuses: no rule of git_authentication with an API matches {repository}",
            _RULE,
        )


_RULE = (
    "in config.yaml: git_authentication: [{type: https_token, name: NAME, token_secret: KEY, match_patterns: [HOST/PATH], "
    "forge: gitea, api_url: https://HOST/api/v1}]"
)


def _names(using: Sequence[PipelineDefinition]) -> str:
    names = sorted(one.name for one in using)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"
