"""The table of docs/triggers.md: which status a context of a commit gets from the jobs of that commit."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from danube_pkg.adapters.store.outbox import write_follow_up
from danube_pkg.core.notifications.commit_statuses import SKIPPED, commit_status
from danube_pkg.core.notifications.outbox import JobNotification, OutboxEntry, OutboxKind
from danube_pkg.core.notifications.rules import FollowUp
from danube_pkg.core.reasons import Reason, Status
from tests.services.notifications.sending import all_sent
from tests.support.trigger_server import SHA, URL, delivering, open_trigger_server

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "triggers.md"

MAIN, TOPIC, SEVEN, EIGHT, V1 = "heads/main", "heads/topic", "pull/7/head", "pull/8/head", "tags/v1"
SKIP = ""
"""In place of a job."""

ONE = "one job"
RERUN = "a rerun, a manual start of the same branch"
REFS = "several branches or pull requests with the same head"
SUPERSEDED = "superseded by a newer commit, or its pull request was closed"
PATHS = "skipped by `paths`"
SEVERAL = "several pipelines"
APPROVAL = "waits for an approval"
ENVIRONMENT = "waits in its middle for an environment"

Change = tuple[str, str, str]
"""Job, ref, and the status with its reason."""

TABLE: list[tuple[str, list[Change], dict[str, str]]] = [
    (ONE, [("1", MAIN, "pending"), ("1", MAIN, "running")], {"app/push": "running"}),
    (ONE, [("1", MAIN, "running"), ("1", MAIN, "success")], {"app/push": "success"}),
    (ONE, [("1", MAIN, "timeout")], {"app/push": "failure"}),
    (ONE, [("1", MAIN, "cancelled")], {"app/push": "cancelled"}),
    (ONE, [("1", MAIN, "success"), ("2", SEVEN, "failure"), ("3", V1, "pending")],
     {"app/push": "success", "app/pr": "failure", "app/tag": "pending"}),
    (RERUN, [("1", MAIN, "failure"), ("2", MAIN, "success")], {"app/push": "success"}),
    (RERUN, [("1", MAIN, "success"), ("2", MAIN, "failure")], {"app/push": "failure"}),
    (RERUN, [("1", MAIN, "failure"), ("2", MAIN, "cancelled")], {"app/push": "cancelled"}),
    (RERUN, [("1", MAIN, "running"), ("2", MAIN, "failure"), ("1", MAIN, "success")], {"app/push": "failure"}),
    (RERUN, [("1", MAIN, "running"), ("2", MAIN, "running"), ("1", MAIN, "success")], {"app/push": "running"}),
    (RERUN, [("1", SEVEN, "running"), ("2", SEVEN, "success"), ("1", SEVEN, "failure")], {"app/pr": "success"}),
    (REFS, [("1", MAIN, "failure"), ("2", TOPIC, "success")], {"app/push": "failure"}),
    (REFS, [("1", SEVEN, "success"), ("2", EIGHT, "running")], {"app/pr": "running"}),
    (REFS, [("1", SEVEN, "cancelled"), ("2", EIGHT, "success")], {"app/pr": "cancelled"}),
    (REFS, [("1", MAIN, "failure"), ("2", MAIN, "success"), ("3", TOPIC, "success")], {"app/push": "success"}),
    (SUPERSEDED, [("1", MAIN, f"cancelled {Reason.SUPERSEDED}")], {"app/push": "cancelled"}),
    (SUPERSEDED, [("1", MAIN, "success"), ("2", TOPIC, f"cancelled {Reason.SUPERSEDED}")], {"app/push": "success"}),
    (SUPERSEDED, [("1", MAIN, "failure"), ("2", TOPIC, f"cancelled {Reason.SUPERSEDED}")], {"app/push": "failure"}),
    (PATHS, [(SKIP, MAIN, f"success {SKIPPED}")], {"app/push": "success"}),
    (PATHS, [("1", MAIN, "failure"), (SKIP, MAIN, f"success {SKIPPED}")], {"app/push": "failure"}),
    (PATHS, [(SKIP, MAIN, f"success {SKIPPED}"), ("1", MAIN, "pending")], {"app/push": "pending"}),
    (PATHS, [("1", SEVEN, "failure"), (SKIP, EIGHT, f"success {SKIPPED}")], {"app/pr": "failure"}),
    (SEVERAL, [("1", MAIN, "failure"), ("2 of api", MAIN, "success")], {"app/push": "failure", "api/push": "success"}),
    (APPROVAL, [("1", SEVEN, f"pending {Reason.APPROVAL_REQUIRED}")], {"app/pr": "pending"}),
    (ENVIRONMENT, [("1", MAIN, "running"), ("1", MAIN, f"running {Reason.ENVIRONMENT_APPROVAL}")],
     {"app/push": "running"}),
]  # fmt: skip


def notification(change: Change) -> JobNotification:
    job, ref, status = change
    state, _, reason = status.partition(" ")
    number, _, pipeline = job.partition(" of ")
    pull = {"number": int(ref.split("/")[1])} if ref.startswith("pull/") else None
    return JobNotification(
        number,
        pipeline or "app",
        Status(state),
        reason,
        "",
        URL,
        SHA,
        f"refs/{ref}",
        "webhook",
        "alice",
        0.0,
        pull_request=pull,
    )


def entry(change: Change) -> OutboxEntry:
    about = notification(change)
    return OutboxEntry(OutboxKind.STATUS, f"status {commit_status(about, '').context}", "forge", about, 0.0)


@pytest.mark.parametrize(("row", "changes", "shown"), TABLE)
async def test_what_a_commit_shows(row: str, changes: list[Change], shown: dict[str, str], tmp_path: Path) -> None:
    """The last status that the forge has of each context, also if each change is delivered before the next one."""
    sent: dict[str, str] = {}

    async def receive(one: OutboxEntry) -> None:
        status = commit_status(one.notification, "")
        sent[status.context] = str(status.state)

    async with open_trigger_server(tmp_path, running=False) as danube, delivering(danube, {OutboxKind.STATUS: receive}):
        for change in changes:
            await danube.database.write(partial(write_follow_up, follow_up=FollowUp((), (entry(change),))))
            danube.observer.outbox_added.set()
            await asyncio.wait_for(all_sent(danube), 30)
    assert sent == {f"danube/{context}": state for context, state in shown.items()}


@pytest.mark.parametrize("row", sorted({row for row, *_ in TABLE}))
def test_the_document_has_the_row(row: str) -> None:
    assert f"\n| {row} | " in DOCUMENT.read_text()
