"""What each forge's payload claims about the head of a request, by flow: only a plain branch of the base repository may
be trusted later, when Git confirms it. docs/triggers.md has the same table."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.deliveries import parse_delivery
from danube_pkg.core.triggers.webhooks.events import PullRequest
from tests.core.triggers.webhooks.recorded import one

Change = Callable[[dict[str, Any]], None]
OPENED = {
    Forge.GITHUB: "pull_request-0",
    Forge.GITEA: "pull-request-opened",
    Forge.FORGEJO: "pull-request-opened",
    Forge.GITLAB: "merge-request-opened",
}


def pull(**head: Any) -> Change:
    """A change of `pull_request.head`."""
    return lambda document: document["pull_request"]["head"].update(head)


def repository(**changed: Any) -> Change:
    """A change of the head's repository."""
    return lambda document: document["pull_request"]["head"]["repo"].update(changed)


def request(**changed: Any) -> Change:
    """A change of GitLab's `object_attributes`."""
    return lambda document: document["object_attributes"].update(changed)


def unchanged(document: dict[str, Any]) -> None:
    assert document


GITHUB_LIKE: Mapping[str, tuple[Change, bool]] = {
    "a branch of the repository": (unchanged, True),
    "a fork": (repository(id=999, full_name="newcomer/app"), False),
    "a fork of the same owner": (repository(id=999), False),
    "a fork with the repository's old name": (repository(id=999, full_name="Codertocat/Hello-World"), False),
    "a repository whose name has another case": (repository(full_name="CODERTOCAT/hello-world"), True),
    "a deleted or hidden fork": (pull(repo=None), False),
    "a repository without an id": (repository(id=None), False),
    "an id of another type": (repository(id="140"), False),
    "AGit": (pull(ref="refs/pull/7/head", label=""), False),
    "AGit with a label": (pull(ref="refs/pull/7/head", label="x"), False),
    "a head without a label": (pull(label=""), False),
    "a branch by its full name": (pull(ref="refs/heads/topic"), False),
    "an unknown flow": (pull(flow=2), False),
}
GITEA_LIKE: Mapping[str, tuple[Change, bool]] = {
    **GITHUB_LIKE,
    "the id of another repository": (pull(repo_id=999), False),
    "the flow of a branch": (lambda document: document["pull_request"].update(flow=0), True),
    "the flow of AGit": (lambda document: document["pull_request"].update(flow=1), False),
}
GITLAB: Mapping[str, tuple[Change, bool]] = {
    "a branch of the repository": (unchanged, True),
    "a fork": (request(source_project_id=999), False),
    "a fork whose project is named as the target": (request(source_project_id=999, target_project_id=999), False),
    "a deleted or hidden fork": (request(source=None), False),
    "a deleted fork without an id": (request(source_project_id=None), False),
    "a source of another id": (lambda document: document["object_attributes"]["source"].update(id=999), False),
    "a branch by its full name": (request(source_branch="refs/merge-requests/1/head"), False),
}
FLOWS = [
    *((Forge.GITHUB, flow, *each) for flow, each in GITHUB_LIKE.items()),
    *((forge, flow, *each) for forge in (Forge.GITEA, Forge.FORGEJO) for flow, each in GITEA_LIKE.items()),
    *((Forge.GITLAB, flow, *each) for flow, each in GITLAB.items()),
]


@pytest.mark.parametrize(("forge", "flow", "change", "claimed"), FLOWS)
def test_only_a_plain_branch_of_the_base_repository_is_claimed(
    forge: Forge, flow: str, change: Change, claimed: bool
) -> None:
    known = one(forge, OPENED[forge])
    document = known.document
    change(document)
    event = parse_delivery(forge, known.headers, json.dumps(document).encode()).event
    assert isinstance(event, PullRequest)
    assert event.fork is not claimed, flow
