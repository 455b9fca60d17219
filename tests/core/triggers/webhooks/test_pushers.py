"""Who pushed the head of a request, by action: only a payload about pushed commits says so."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.deliveries import parse_delivery
from danube_pkg.core.triggers.webhooks.events import PullRequest
from tests.core.triggers.webhooks.recorded import one

GITEA = "pull-request-opened"
LOGIN = "carol"


def hooked(action: str, **more: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a payload of GitHub, Gitea and Forgejo."""

    def change(document: dict[str, Any]) -> None:
        document |= {"action": action, "sender": {"login": LOGIN, "id": 42}, **more}
        document["pull_request"]["user"] = {"login": "the-author", "id": 7}
        document["pull_request"]["author_association"] = "OWNER"

    return change


def github(action: str, *, after: str = "") -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        hooked(action, after=after or document["pull_request"]["head"]["sha"])(document)

    return change


def gitlab(**attributes: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["object_attributes"].update(attributes)
        document["user"] = {"username": LOGIN, "id": 42}

    return change


RETARGETED = {"base": {"ref": {"from": "old"}}, "ref": {"from": "old"}}


@pytest.mark.parametrize(
    ("forge", "name", "change", "pusher"),
    [
        (Forge.GITHUB, "pull_request-0", github("synchronize"), (LOGIN, 0)),
        (Forge.GITHUB, "pull_request-0", github("synchronize", after="0" * 39 + "1"), ("", 0)),
        (Forge.GITHUB, "pull_request-0", hooked("synchronize"), ("", 0)),
        (Forge.GITHUB, "pull_request-0", github("opened"), ("", 0)),
        (Forge.GITHUB, "pull_request-0", github("reopened"), ("", 0)),
        (Forge.GITHUB, "pull_request-0", hooked("edited", changes=RETARGETED), ("", 0)),
        *(
            (forge, GITEA, hooked(action, **more), (pusher, 0))
            for forge in (Forge.GITEA, Forge.FORGEJO)
            for action, more, pusher in (
                ("synchronized", {}, LOGIN),
                ("opened", {}, ""),
                ("reopened", {}, ""),
                ("edited", {"changes": RETARGETED}, ""),
            )
        ),
        (Forge.GITLAB, "merge-request-opened", gitlab(action="update", oldrev="1" * 40), (LOGIN, 42)),
        (Forge.GITLAB, "merge-request-opened", gitlab(action="open"), ("", 0)),
        (Forge.GITLAB, "merge-request-opened", gitlab(action="reopen", oldrev="1" * 40), ("", 0)),
    ],
)
def test_the_pusher_is_known_where_commits_were_pushed(
    forge: Forge, name: str, change: Callable[[dict[str, Any]], None], pusher: tuple[str, int]
) -> None:
    delivery = one(forge, name)
    document = delivery.document
    change(document)
    event = parse_delivery(forge, delivery.headers, json.dumps(document).encode()).event
    assert isinstance(event, PullRequest)
    assert (event.pusher, event.pusher_id) == pusher
