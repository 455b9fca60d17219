"""Approvals of untrusted code: what they are for, how long they hold, and what ends the wait for one."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import Forbidden
from danube_pkg.core.jobs.concurrency import pull_request_number
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.webhooks.events import PullRequest, PullRequestChange
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import approve, rerun, start
from tests.services.stores import no_token
from tests.support.trigger_server import REPOSITORY, SHA, a_pipeline, eventually, open_trigger_server

OTHER_SHA = "95790bf891e76fee5e1747ab589903a6a1f80f22"
FORK = PullRequest(
    REPOSITORY, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=True, actor="bob"
)
APP = a_pipeline("app", TriggerKind.PULL_REQUEST)


async def test_an_approval_is_of_commit_pipeline_and_target_branch_and_holds_for_them(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(FORK)
        (job,) = await danube.jobs()
        await approve(danube.engine, job, SHA, "alice")
        again = await rerun(danube.engine, job, "bob")
        assert (again.reason, again.message, again.trigger.origin) == (Reason.QUEUED, "approved by alice", "")
        await danube.receive(replace(FORK, change=PullRequestChange.CLOSED), "closed")
        await danube.receive(FORK, "reopened")
        assert (await danube.jobs())[-1].reason is Reason.QUEUED
        await danube.configure(APP, a_pipeline("other", TriggerKind.PULL_REQUEST))
        await danube.receive(replace(FORK, number=8, ref="refs/pull/8/head"), "another")
        app, other = (await danube.jobs())[-2:]
        assert (app.reason, other.reason) == (Reason.QUEUED, Reason.APPROVAL_REQUIRED), "of another pipeline"
        updated = replace(FORK, change=PullRequestChange.UPDATED)
        changed = {
            "pushed": replace(updated, commit_sha=OTHER_SHA),
            "retargeted": replace(updated, target_branch="dev"),
        }
        for delivery, event in changed.items():
            await danube.receive(event, delivery)
            assert (await danube.jobs())[-2].reason is Reason.APPROVAL_REQUIRED, delivery


async def test_an_approved_job_is_still_untrusted(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(FORK)
        (job,) = await danube.jobs()
        again = await rerun(danube.engine, await approve(danube.engine, job, SHA, "alice"), "bob")
        await danube.secret("TOKEN", b"never for untrusted code")
        with pytest.raises(Forbidden, match="untrusted code may not read"):
            await danube.secrets.read_for_job(again, 1, "TOKEN", no_token)


async def test_a_new_push_needs_a_new_approval_and_ends_the_old_wait(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(FORK)
        await danube.receive(replace(FORK, change=PullRequestChange.UPDATED, commit_sha=OTHER_SHA), "d2")

        async def old_is_over() -> bool:
            return (await danube.jobs())[0].status.ended

        await eventually(old_is_over, "the older proposal to be superseded")
        old, new = await danube.jobs()
        assert (old.status, old.reason) == (Status.CANCELLED, Reason.SUPERSEDED)
        assert old.message == f"superseded by job {new.id} before it started"
        assert new.reason is Reason.APPROVAL_REQUIRED


async def test_closing_a_pull_request_cancels_its_jobs_that_wait_for_an_approval(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(FORK)
        await danube.receive(replace(FORK, number=8, ref="refs/pull/8/head"), "d2")
        await danube.receive(replace(FORK, change=PullRequestChange.CLOSED), "d3")

        async def is_over() -> bool:
            return (await danube.jobs())[0].status.ended

        await eventually(is_over, "the proposal to be ended")
        assert [job.status for job in await danube.jobs()] == [Status.CANCELLED, Status.PENDING]


@pytest.mark.parametrize(
    ("ref", "untrusted"),
    [
        (Revision(SHA, "refs/pull/7/head"), True),
        (Revision(SHA, "refs/merge-requests/7/head"), True),
        (Revision(SHA, "refs/changes/01/1/2"), True),
        (Revision(SHA, "refs/heads/main", branch="main"), False),
        (Revision(SHA, "v1", tag="v1"), False),
        (Revision(SHA, SHA), False),
        (Revision(SHA, "main", branch="main"), False),
        (Revision(), False),
    ],
)
async def test_a_ref_that_others_may_set_is_untrusted_when_it_is_started_by_hand(
    tmp_path: Path, ref: Revision, untrusted: bool
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.revisions[ref.ref] = ref
        job = await start(danube.engine, danube.secrets, "app", actor="alice", ref=ref.ref)
        assert job.trigger.is_untrusted is untrusted
        assert job.reason is (Reason.APPROVAL_REQUIRED if untrusted else Reason.RESOLVING)
        if "/7/" in ref.ref:
            assert pull_request_number(job.trigger) == 7
