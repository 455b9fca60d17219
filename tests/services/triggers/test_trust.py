"""A pull request is trusted only if Git confirms what its payload claims; everything else waits for an approval."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import ApprovalWaiver, TriggerKind
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery
from danube_pkg.core.triggers.webhooks.events import PullRequest, PullRequestChange
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import rerun
from danube_pkg.services.triggers.trust import FROM_ELSEWHERE
from tests.support.trigger_server import REPOSITORY, SHA, URL, a_pipeline, eventually, open_trigger_server

OTHER_SHA = "95790bf891e76fee5e1747ab589903a6a1f80f22"
PULL = PullRequest(
    REPOSITORY, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=False, actor="bob"
)
APP = a_pipeline("app", TriggerKind.PULL_REQUEST)
NOT_THE_HEAD = "it is not the head of refs/heads/topic of this repository"


@pytest.mark.parametrize(
    ("event", "heads", "why"),
    [
        (PULL, {"refs/heads/topic": SHA}, ""),
        (PULL, {"refs/heads/topic": OTHER_SHA}, NOT_THE_HEAD),
        (PULL, {"refs/heads/topic": OTHER_SHA, "refs/pull/7/head": SHA}, NOT_THE_HEAD),
        (replace(PULL, fork=True), {"refs/heads/topic": SHA}, FROM_ELSEWHERE),
        (replace(PULL, source_branch="refs/pull/7/head"), {"refs/heads/refs/pull/7/head": SHA}, FROM_ELSEWHERE),
        (replace(PULL, source_branch="refs/heads/topic"), {"refs/heads/topic": SHA}, FROM_ELSEWHERE),
    ],
)
async def test_only_the_head_of_the_repositorys_own_branch_is_trusted(
    tmp_path: Path, event: PullRequest, heads: dict[str, str], why: str
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.heads.update(heads)
        await danube.receive(event)
        (job,) = await danube.jobs()
        assert job.trigger.pull_request is not None
        assert job.trigger.pull_request["why_untrusted"] == why
        assert job.trigger.is_untrusted is bool(why)
        assert job.reason is (Reason.APPROVAL_REQUIRED if why else Reason.QUEUED)
        if why:
            diagnosis = explain(job, danube.engine.waiting(job), "")
            assert diagnosis.lines[-1] == f"It is not trusted, because {why}."


async def test_a_branch_that_git_does_not_have_is_not_trusted(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.missing_refs = {"refs/heads/topic"}
        await danube.receive(PULL)
        assert (await danube.jobs())[0].reason is Reason.APPROVAL_REQUIRED


async def test_a_repository_that_cannot_be_read_for_good_trusts_nothing(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.failure = Permanent("source-unavailable", "there is no such repository")
        await danube.receive(PULL)
        assert (await danube.jobs())[0].reason is Reason.APPROVAL_REQUIRED


async def test_a_request_waits_in_the_inbox_while_git_cannot_be_asked(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.heads["refs/heads/topic"] = SHA
        danube.sources.failure = Unavailable("forge-unreachable", "it does not answer")
        await danube.triggers.receive(WebhookDelivery(Forge.GITHUB, "d1", PULL))

        async def was_asked() -> bool:
            return f"{URL} refs/heads/topic" in danube.sources.requests and danube.clock.next_wake is not None

        await eventually(was_asked, "a request to the repository")
        assert await danube.jobs() == []
        danube.sources.failure = None
        await danube.settled(moving=True)
        assert [job.reason for job in await danube.jobs()] == [Reason.QUEUED]


async def test_the_head_that_the_server_read_last_is_still_trusted(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.heads["refs/heads/topic"] = SHA
        await danube.receive(PULL)
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.missing_refs = {"refs/heads/topic"}
        await danube.receive(PULL, "reopened after its branch was deleted")
        assert [job.reason for job in await danube.jobs()] == [Reason.QUEUED] * 2
        await danube.receive(replace(PULL, commit_sha=OTHER_SHA), "d3")
        (newest,) = [job for job in await danube.jobs() if job.trigger.revision.commit_sha == OTHER_SHA]
        assert newest.trigger.is_untrusted


MEMBERS = a_pipeline("app", TriggerKind.PULL_REQUEST, trust=ApprovalWaiver.MEMBERS)
FORK = replace(PULL, fork=True, pusher="carol")


async def test_trust_of_members_waives_the_approval_and_nothing_else(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(MEMBERS)
        danube.members.members.add("carol")
        await danube.receive(FORK)
        (job,) = await danube.jobs()
        assert (job.reason, job.trigger.is_untrusted, job.trigger.approved_by) == (Reason.QUEUED, True, "")
        assert job.message == "without an approval: carol may write to the repository (trust: members)"
        assert job.trigger.pull_request is not None
        assert job.trigger.pull_request["trusted"] is False


async def test_each_job_asks_the_forge(tmp_path: Path) -> None:
    """Neither a rerun nor another delivery of the same commit inherits the answer; the author is never asked about."""
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(MEMBERS)
        danube.members.members.add("carol")
        await danube.receive(FORK)
        (job,) = await danube.jobs()
        again = await rerun(danube.engine, job, "dave")
        assert (again.reason, again.trigger.member) == (Reason.APPROVAL_REQUIRED, "")
        await danube.receive(replace(FORK, pusher="", actor="carol", version="reopened"), "d2")
        newest = (await danube.jobs())[-1]
        assert newest.reason is Reason.APPROVAL_REQUIRED
        assert danube.members.asked == ["carol", ""]
        why = f"{FROM_ELSEWHERE}; trust: members does not apply, since  may not write to the repository"
        assert newest.trigger.pull_request is not None
        assert newest.trigger.pull_request["why_untrusted"] == why
        assert explain(newest, danube.engine.waiting(newest), "").lines[-1] == f"It is not trusted, because {why}."


async def test_without_the_setting_no_forge_is_asked(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.members.members.add("carol")
        await danube.receive(FORK)
        assert [job.reason for job in await danube.jobs()] == [Reason.APPROVAL_REQUIRED]
        assert danube.members.asked == []
