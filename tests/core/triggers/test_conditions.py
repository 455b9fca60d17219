"""Triggers and statuses that a configuration asks for and cannot have are conditions, one for each repository."""

from typing import Any

import pytest

from danube_pkg.core.configuration.config import ConfigSpec, WebhookSpec
from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition, State
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.git_authentication import HttpsToken, SshKey
from danube_pkg.core.triggers.conditions import trigger_conditions

URL = "https://git.example.org/team/app"
GITEA = HttpsToken("forge", "token", ("git.example.org/*",), forge="gitea")
HOOK = WebhookSpec(Forge.GITEA, ("hook",))


def a_state(*kinds: TriggerKind, repository: str = URL, names: tuple[str, ...] = ("app",), **config: Any) -> State:
    triggers = tuple(map(TriggerSpec, kinds))
    pipelines = {name: PipelineDefinition(name, "", PipelineSpec(repository, triggers=triggers)) for name in names}
    return State(ConfigSpec(**config), {}, {}, pipelines)


@pytest.mark.parametrize(
    ("state", "reference", "words"),
    [
        (a_state(TriggerKind.PUSH), "webhook-missing", "app waits for pushes, tags or pull requests of"),
        (a_state(TriggerKind.TAG), "webhook-missing", "no webhook of any forge"),
        (a_state(TriggerKind.PULL_REQUEST, git_authentication=(GITEA,)), "webhook-missing", "no webhook of gitea"),
        (
            a_state(TriggerKind.PUSH, git_authentication=(GITEA,), webhooks=(WebhookSpec(Forge.GITHUB, ("hook",)),)),
            "webhook-missing",
            "no webhook of gitea",
        ),
        (
            a_state(TriggerKind.PUSH, repository="https://github.com/o/app", webhooks=(HOOK,)),
            "webhook-missing",
            "no webhook of github",
        ),
        (a_state(TriggerKind.PUSH, repository="/srv/app", webhooks=(HOOK,)), "webhook-missing", "is a directory"),
        (a_state(TriggerKind.PUSH, webhooks=(HOOK,)), "commit-status-impossible", "app cannot set commit statuses"),
        (
            a_state(
                TriggerKind.PUSH,
                repository="ssh://git@git.example.org:2222/team/app",
                webhooks=(HOOK,),
                git_authentication=(SshKey("key", ("*",), "/key"), GITEA),
            ),
            "commit-status-impossible",
            "no rule of git_authentication with an API matches ssh://",
        ),
    ],
)
def test_what_cannot_act_is_a_condition(state: State, reference: str, words: str) -> None:
    (found,) = trigger_conditions(state)
    assert found.reference == reference
    assert words in found.what
    assert found.hint


def test_a_configuration_that_can_act_has_none() -> None:
    assert trigger_conditions(a_state(TriggerKind.PUSH, git_authentication=(GITEA,), webhooks=(HOOK,))) == []
    assert trigger_conditions(a_state(TriggerKind.CRON)) == []
    assert trigger_conditions(a_state()) == []


def test_pipelines_of_one_repository_share_a_condition() -> None:
    (found,) = trigger_conditions(a_state(TriggerKind.PUSH, names=("e", "d", "c", "b", "a")))
    assert found.what.startswith("a, b, c and 2 more ")
