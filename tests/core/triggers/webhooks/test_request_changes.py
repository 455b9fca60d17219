"""What a change of a request starts, on all four forges: the table of docs/triggers.md, row by row."""

import json
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.matching import Start, match_event
from danube_pkg.core.triggers.webhooks.deliveries import parse_delivery
from danube_pkg.core.triggers.webhooks.events import PullRequest
from tests.core.triggers.webhooks.recorded import one

NAMES = {
    Forge.GITHUB: "pull_request-0",
    Forge.GITEA: "pull-request-opened",
    Forge.FORGEJO: "pull-request-opened",
    Forge.GITLAB: "merge-request-opened",
}
TRIGGERS = {
    "by default": TriggerSpec(TriggerKind.PULL_REQUEST),
    "labels": TriggerSpec(TriggerKind.PULL_REQUEST, labels=("run-*",)),
    "skip_drafts": TriggerSpec(TriggerKind.PULL_REQUEST, skip_drafts=True),
}
WITH = {"labels": ("run-tests",)}
DRAFT = {"draft": True}
OLD = "1" * 40

Fields = dict[str, Any]
BASE: Fields = {"changes": {"base": {"ref": {"from": "old"}}}}
REF: Fields = {"changes": {"ref": {"from": "old"}}}
TITLE: Fields = {"changes": {"title": {"from": "WIP: x"}}}
TARGET: Fields = {"changes": {"target_branch": {"previous": "old", "current": "main"}}}
ADDED: Fields = {"changes": {"labels": {"previous": [], "current": [{"title": "run-tests"}]}}}
REMOVED: Fields = {"changes": {"labels": {"previous": [{"title": "run-tests"}], "current": []}}}
READY: Fields = {"changes": {"draft": {"previous": True, "current": False}}}
NO_DRAFT: Fields = {"changes": {"draft": {"previous": False, "current": True}}}

ROWS: dict[str, tuple[Fields, Fields, Fields, str]] = {
    # GitHub, then Gitea and Forgejo, then GitLab; which of the three triggers start, "yes" or "no"
    "opened": ({"action": "opened"}, {"action": "opened"}, {"action": "open"}, "yes no yes"),
    "opened with the label": (
        {"action": "opened", **WITH},
        {"action": "opened", **WITH},
        {"action": "open", **WITH},
        "yes yes yes",
    ),
    "opened as a draft": (
        {"action": "opened", **DRAFT},
        {"action": "opened", **DRAFT},
        {"action": "open", **DRAFT},
        "yes no no",
    ),
    "reopened": ({"action": "reopened"}, {"action": "reopened"}, {"action": "reopen"}, "yes no yes"),
    "commits pushed": (
        {"action": "synchronize"},
        {"action": "synchronized"},
        {"action": "update", "oldrev": OLD},
        "yes no yes",
    ),
    "commits pushed, with the label": (
        {"action": "synchronize", **WITH},
        {"action": "synchronized", **WITH},
        {"action": "update", "oldrev": OLD, **WITH},
        "yes yes yes",
    ),
    "commits pushed to a draft": (
        {"action": "synchronize", **DRAFT},
        {"action": "synchronized", **DRAFT},
        {"action": "update", "oldrev": OLD, **DRAFT},
        "yes no no",
    ),
    "another target branch": (
        {"action": "edited", **BASE},
        {"action": "edited", **REF},
        {"action": "update", **TARGET},
        "yes no yes",
    ),
    "label added": (
        {"action": "labeled", **WITH},
        {"action": "label_updated", **WITH},
        {"action": "update", **ADDED, **WITH},
        "no yes no",
    ),
    "another label added": (
        {"action": "labeled", "labels": ("bug",)},
        {"action": "label_updated", "labels": ("bug",)},
        {"action": "update", **ADDED, "labels": ("bug",)},
        "no no no",
    ),
    "label removed": (
        {"action": "unlabeled"},
        {"action": "label_cleared"},
        {"action": "update", **REMOVED},
        "no no no",
    ),
    "draft ready": (
        {"action": "ready_for_review"},
        {"action": "edited", **TITLE},
        {"action": "update", **READY},
        "no no yes",
    ),
    "made a draft": (
        {"action": "converted_to_draft", **DRAFT},
        {"action": "edited", "changes": {"title": {"from": "x"}}, **DRAFT},
        {"action": "update", **NO_DRAFT, **DRAFT},
        "no no no",
    ),
    "title or text edited": (
        {"action": "edited", "changes": {"title": {"from": "x"}}},
        {"action": "edited", "changes": {"title": {"from": "x"}}},
        {"action": "update", "changes": {"title": {"previous": "x", "current": "y"}}},
        "no no no",
    ),
    "closed or merged": ({"action": "closed"}, {"action": "closed"}, {"action": "close"}, "no no no"),
}
CASES = [
    (forge, row, *(ROWS[row][{Forge.GITHUB: 0, Forge.GITLAB: 2}.get(forge, 1)], ROWS[row][3]))
    for forge in Forge
    for row in ROWS
]


def document_of(forge: Forge, fields: Fields) -> dict[str, Any]:
    """The recorded delivery of an opened request with other fields."""
    document = one(forge, NAMES[forge]).document
    labels, draft = fields.get("labels", ()), fields.get("draft", False)
    if forge is Forge.GITLAB:
        request = document["object_attributes"]
        request |= {"action": fields["action"], "draft": draft, "oldrev": fields.get("oldrev")}
        document |= {"labels": [{"title": label} for label in labels], "changes": fields.get("changes", {})}
        return document
    document |= {"action": fields["action"], "changes": fields.get("changes", {})}
    document["pull_request"] |= {"labels": [{"name": label} for label in labels], "draft": draft, "title": "a title"}
    return document


@pytest.mark.parametrize(("forge", "row", "fields", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_what_a_change_of_a_request_starts(forge: Forge, row: str, fields: Fields, expected: str) -> None:
    delivery = one(forge, NAMES[forge])
    event = parse_delivery(forge, delivery.headers, json.dumps(document_of(forge, fields)).encode()).event
    spec = {name: PipelineSpec("/app", triggers=(trigger,)) for name, trigger in TRIGGERS.items()}
    found = [
        isinstance(event, PullRequest) and isinstance(match_event(event, PipelineDefinition(name, "", each)), Start)
        for name, each in spec.items()
    ]
    assert " ".join("yes" if one else "no" for one in found) == expected, row


def test_the_document_has_the_same_table() -> None:
    text = (Path(__file__).resolve().parents[4] / "docs" / "triggers.md").read_text()
    for row, (_, _, _, expected) in ROWS.items():
        cells = " | ".join("starts" if word == "yes" else "–" for word in expected.split())
        assert f"| {row} | {cells} |" in text
