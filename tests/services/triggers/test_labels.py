"""A label, and the end of a draft, start a commit that was not started before, and no commit twice."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind, TriggerSpec
from danube_pkg.core.triggers.webhooks.events import PullRequest, PullRequestChange
from danube_pkg.kit.records import replace
from tests.support.trigger_server import REPOSITORY, SHA, a_pipeline, open_trigger_server

OTHER_SHA = "95790bf891e76fee5e1747ab589903a6a1f80f22"
OPENED = PullRequest(
    REPOSITORY, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=True, actor="bob"
)
LABELED = replace(OPENED, change=PullRequestChange.LABELED, labels=("run-tests",))
READY = replace(OPENED, change=PullRequestChange.READY)
CLOSED = replace(OPENED, change=PullRequestChange.CLOSED)
BY_LABEL = a_pipeline("by-label", TriggerSpec(TriggerKind.PULL_REQUEST, labels=("run-*",)))
NO_DRAFTS = a_pipeline("no-drafts", TriggerSpec(TriggerKind.PULL_REQUEST, skip_drafts=True))


@pytest.mark.parametrize(
    ("events", "jobs"),
    [
        ([OPENED, LABELED], {"by-label": 1, "no-drafts": 1}),
        ([replace(OPENED, labels=("run-tests",)), LABELED], {"by-label": 1, "no-drafts": 1}),
        ([LABELED, replace(OPENED, labels=("run-tests",))], {"by-label": 1, "no-drafts": 1}),
        ([LABELED, replace(LABELED, labels=("run-tests", "run-more"))], {"by-label": 1}),
        ([LABELED, replace(LABELED, commit_sha=OTHER_SHA)], {"by-label": 2}),
        ([LABELED, CLOSED, replace(OPENED, labels=("run-tests",))], {"by-label": 2, "no-drafts": 1}),
        ([LABELED, CLOSED, LABELED], {"by-label": 2}),
        ([replace(OPENED, draft=True), READY], {"no-drafts": 1}),
        ([OPENED, READY], {"no-drafts": 1}),
        ([OPENED, replace(OPENED, version="reopened")], {"no-drafts": 2}),
        ([LABELED, replace(LABELED, target_branch="release")], {"by-label": 2}),
    ],
)
async def test_a_commit_is_started_once(tmp_path: Path, events: list[PullRequest], jobs: dict[str, int]) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(BY_LABEL, NO_DRAFTS)
        for number, event in enumerate(events):
            await danube.receive(event, f"d{number}")
        found = [job.pipeline for job in await danube.jobs()]
        assert {name: found.count(name) for name in found} == jobs


async def test_the_outcome_names_the_delivery_that_started_it(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(BY_LABEL, NO_DRAFTS)
        await danube.receive(replace(OPENED, labels=("run-tests",)), "first")
        await danube.receive(LABELED, "second")
        assert await danube.outcome("second") == (
            "by-label: delivery first started this commit\nno-drafts: labels start nothing: its trigger names none"
        )
        await danube.receive(replace(LABELED, labels=("bug",), commit_sha=OTHER_SHA), "third")
        assert "by-label: the request has none of the labels run-*" in await danube.outcome("third")
