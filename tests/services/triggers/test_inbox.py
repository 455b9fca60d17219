"""From the inbox to jobs: each entry is settled once and in order, whatever fails meanwhile."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import PipelineEnd, TriggerKind, TriggerSpec
from danube_pkg.core.errors import Conflict, Forbidden, Permanent, StorageFull, Unavailable
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.git_authentication import HttpsToken
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.inbox import (
    EntrySource,
    InboxEntry,
    PipelineOutcome,
    Result,
    event_to_json,
)
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    PullRequest,
    PullRequestChange,
    Push,
    TagPush,
)
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.requests import approve
from tests.services.stores import no_token
from tests.support.trigger_server import (
    NEWEST,
    NOON,
    REPOSITORY,
    SHA,
    URL,
    a_pipeline,
    eventually,
    open_trigger_server,
)

OTHER_SHA = "95790bf891e76fee5e1747ab589903a6a1f80f22"
PUSH = Push(REPOSITORY, "main", SHA, "alice", "fix it")
PULL = PullRequest(
    REPOSITORY, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=False, actor="bob"
)
FORK = replace(PULL, fork=True)
APP = a_pipeline("app", TriggerKind.PUSH, TriggerKind.PULL_REQUEST)
FORGE = {
    "git_authentication": (HttpsToken("forge", match_patterns=("git.example.org/*",), token_secret="t", forge="gitea"),)
}


async def test_a_delivery_becomes_one_job_of_each_pipeline_that_it_concerns(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, a_pipeline("second", TriggerKind.PUSH), a_pipeline("tags", TriggerKind.TAG))
        assert await danube.receive(PUSH)
        jobs = await danube.jobs()
        assert [(job.pipeline, job.status, job.trigger.revision.commit_sha) for job in jobs] == [
            ("app", Status.PENDING, SHA),
            ("second", Status.PENDING, SHA),
        ]
        assert await danube.outcome() == "app: started\nsecond: started\ntags: its triggers do not include push"
        assert danube.pushed == [(f"{URL}.git", "main")]


async def test_a_repeated_delivery_starts_nothing(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        assert await danube.receive(PUSH)
        assert not await danube.receive(PUSH)
        assert await danube.receive(PUSH, forge=Forge.GITEA), "another forge has ids of its own"
        assert await danube.receive(PUSH, "d2")
        assert len(await danube.jobs()) == 3
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        assert not await danube.receive(PUSH), "over a restart as well"


async def test_entries_of_a_killed_server_are_settled_by_the_next_one(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, running=False) as danube:
        await danube.configure(APP)
        for number in range(3):
            await danube.inbox.receive(InboxEntry(EntrySource.GITHUB, f"d{number}", PUSH, NOON))
        assert await danube.jobs() == []
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.settled()
        assert len(await danube.jobs()) == 3


async def test_jobs_and_the_settling_of_their_entry_are_one_transaction(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path, running=False) as danube:
        await danube.configure(APP, **FORGE)
        await danube.inbox.receive(InboxEntry(EntrySource.GITHUB, "d1", PUSH, NOON))
        entry = (await danube.inbox.open_entries(0, 1))[0]
        pipeline = await danube.pipelines.load_pipeline("app")
        assert pipeline is not None
        trigger = Trigger("webhook", "alice", Revision(SHA), origin=entry.origin)
        settled = Settlement(entry, NOON, [PipelineOutcome("app", Result.STARTED)])
        first = await danube.engine.submit_all([(pipeline, trigger)], NO_FOLLOW_UP, settled)
        again = await danube.engine.submit_all([(pipeline, trigger)], NO_FOLLOW_UP, settled)
        assert ([one.id for one in first], len(await danube.jobs())) == ([one.id for one in again], 1)
        stored = await danube.inbox.entry(EntrySource.GITHUB, "d1")
        assert stored is not None
        assert stored.outcomes == (PipelineOutcome("app", Result.STARTED, job_id=first[0].id),)
        assert await danube.outbox_lines() == ["status app pending queued"], "nor is the status repeated"


async def test_a_burst_keeps_its_order_within_a_repository(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        pushes = [replace(PUSH, message=str(number), actor=f"n{number:03}") for number in range(100)]
        async with asyncio.TaskGroup() as group:
            for number, push in enumerate(pushes):
                delivery = WebhookDelivery(Forge.GITHUB, f"d{number:03}", push)
                group.create_task(danube.triggers.receive(delivery), name=f"delivery {number}")
        await danube.settled()
        rows = danube.database.read("SELECT id, key FROM inbox ORDER BY id")
        jobs = await danube.jobs()
        assert [job.trigger.origin for job in jobs] == [f"github:{row['key']}" for row in rows]
        assert len({job.id for job in jobs}) == 100


async def test_an_event_that_starts_nothing_has_its_reason(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(
            a_pipeline("docs", TriggerKind.PUSH, paths=("docs/**",)), a_pipeline("app", TriggerKind.PUSH), **FORGE
        )
        await danube.receive(replace(PUSH, message="[skip ci] x"), "skipped")
        danube.sources.changed = ("src/app.py",)
        await danube.receive(replace(PUSH, before=OTHER_SHA), "filtered")
        await danube.receive(BranchDeleted(REPOSITORY, "old", "alice"), "deleted")
        assert await danube.outcome("skipped") == (
            "app: the commit message contains [skip ci]\ndocs: the commit message contains [skip ci]"
        )
        assert await danube.outcome("filtered") == ("app: started\ndocs: the one changed file does not match its paths")
        assert (await danube.outcome("deleted")).splitlines()[0] == "app: a deleted branch starts no job"
        assert await danube.outbox_lines() == ["status docs success skipped", "status app pending queued"]


async def test_a_tag_starts_pipelines_with_a_trigger_for_tags(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("release", TriggerKind.TAG))
        await danube.receive(TagPush(REPOSITORY, "v1", SHA, "alice"))
        assert [(job.trigger.revision.tag, job.trigger.revision.branch) for job in await danube.jobs()] == [("v1", "")]


# --- pull requests, also of untrusted code


async def test_a_forks_job_waits_for_the_approval_of_its_exact_commit_and_gets_no_secret(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, **FORGE)
        await danube.receive(FORK)
        (job,) = await danube.jobs()
        assert (job.status, job.reason) == (Status.PENDING, Reason.APPROVAL_REQUIRED)
        with pytest.raises(Conflict, match="is of commit"):
            await approve(danube.engine, job, OTHER_SHA, "alice")
        approved = await approve(danube.engine, job, SHA, "alice")
        assert (approved.reason, approved.message) == (Reason.QUEUED, "approved by alice")
        await danube.secret("TOKEN", b"never for untrusted code")
        with pytest.raises(Forbidden, match="untrusted code may not read"):
            await danube.secrets.read_for_job(approved, 1, "TOKEN", no_token)
        assert await danube.outbox_lines() == ["status app pending approval-required", "status app pending queued"]


async def test_a_pull_request_of_the_repository_itself_needs_no_approval(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.heads["refs/heads/topic"] = SHA
        await danube.receive(PULL)
        (job,) = await danube.jobs()
        assert not job.trigger.is_untrusted
        assert (job.reason, job.trigger.revision.branch, job.trigger.revision.ref) == (
            Reason.QUEUED,
            "",
            "refs/pull/7/head",
        )


@pytest.mark.parametrize(("changed", "count"), [(("docs/a.md",), 1), (("src/app.py",), 0), (None, 1)])
async def test_a_pull_requests_files_are_read_where_a_pipeline_filters_by_them(
    tmp_path: Path, changed: tuple[str, ...] | None, count: int
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("docs", TriggerKind.PULL_REQUEST, paths=("docs/**",)))
        danube.sources.changed = changed
        await danube.receive(PULL)
        assert f"{URL} main..{SHA}" in danube.sources.requests
        assert len(await danube.jobs()) == count


async def test_a_pipeline_runs_where_the_changed_files_are_unknown(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("docs", TriggerKind.PULL_REQUEST, paths=("docs/**",)))
        danube.sources.failure = Unavailable("forge-unreachable", "it does not answer")
        await danube.receive(FORK)
        assert len(await danube.jobs()) == 1


# --- pipelines that follow others


def after(name: str, result: PipelineEnd = PipelineEnd.SUCCESS) -> TriggerSpec:
    return TriggerSpec(TriggerKind.PIPELINE, pipeline=name, result=result)


async def test_the_end_of_a_job_starts_the_pipelines_that_follow_it_once(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(
            APP, a_pipeline("clean", after("app", PipelineEnd.ALWAYS)), a_pipeline("deploy", after("app"))
        )
        await danube.receive(PUSH)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")
        await danube.settled()
        follower = (await danube.jobs())[1]
        assert (follower.pipeline, follower.trigger.type, follower.trigger.revision.commit_sha) == (
            "clean",
            "pipeline",
            SHA,
        )
        assert follower.trigger.actor == f"job {job.id} of app"
        assert await danube.outcome(job.id, EntrySource.PIPELINE) == (
            "clean: started\ndeploy: it waits for success of app, and this was cancelled"
        )
        assert len(await danube.jobs()) == 2


async def test_the_end_of_a_pull_requests_job_starts_nothing(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, a_pipeline("clean", after("app", PipelineEnd.ALWAYS)))
        await danube.receive(PULL)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")
        await danube.settled()
        assert len(await danube.jobs()) == 1


# --- retries


async def test_an_unreachable_repository_is_retried(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, a_pipeline("deploy", after("app", PipelineEnd.ALWAYS), repository=f"{URL}-deploy"))
        danube.sources.failure = Unavailable("forge-unreachable", "it does not answer")
        await danube.receive(PUSH)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")

        async def was_asked() -> bool:
            return bool(danube.sources.requests) and danube.clock.next_wake is not None

        await eventually(was_asked, "a request to the repository")
        danube.sources.failure = None
        await danube.settled(moving=True)
        assert [job.trigger.revision.commit_sha for job in await danube.jobs()] == [SHA, NEWEST]


async def test_a_refusal_is_the_entrys_outcome_and_does_not_block_its_lane(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, a_pipeline("deploy", after("app", PipelineEnd.ALWAYS), repository=f"{URL}-deploy"))
        danube.sources.failure = Permanent("source-unavailable", "there is no such repository")
        await danube.receive(PUSH)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")
        await danube.settled()
        assert await danube.outcome(job.id, EntrySource.PIPELINE) == "deploy: there is no such repository"


async def test_an_entry_on_which_a_bug_fails_is_given_up(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP, a_pipeline("deploy", after("app", PipelineEnd.ALWAYS), repository=f"{URL}-deploy"))
        danube.sources.failure = ZeroDivisionError("a bug")
        await danube.receive(PUSH)
        (job,) = await danube.jobs()
        await danube.engine.cancel(job.id, "alice")

        async def is_settled() -> bool:
            danube.clock.move(120)
            return bool(await danube.outcome(job.id, EntrySource.PIPELINE))

        await eventually(is_settled, "the entry to be given up")
        assert await danube.outcome(job.id, EntrySource.PIPELINE) == "deploy: given up: a bug"


async def test_an_unreadable_inbox_does_not_end_the_loop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_trigger_server(tmp_path, running=False) as danube:
        await danube.configure(APP)
        await danube.inbox.receive(InboxEntry(EntrySource.GITHUB, "d1", PUSH, NOON))
        await danube.database.write(lambda connection: connection.execute("UPDATE inbox SET event = '{}'"))
        async with danube.triggers.running():

            async def is_logged() -> bool:
                return "inbox-read-failed" in caplog.messages

            await eventually(is_logged, "the failure in the log")
            event = event_to_json(PUSH)
            await danube.database.write(lambda connection: connection.execute("UPDATE inbox SET event = ?", (event,)))
            await danube.settled(moving=True)
            assert await danube.outcome() == "app: started"


class FullDisk:
    """An engine whose store fails with a full disk, that many times."""

    def __init__(self, engine: Engine, times: int) -> None:
        self.engine, self.times = engine, times

    async def submit_all(
        self, starts: Sequence[tuple[Pipeline, Trigger]], follow_up: FollowUp, settled: Settlement
    ) -> Sequence[Job]:
        if self.times:
            self.times -= 1
            raise StorageFull("disk-full", "the disk is full")
        return await self.engine.submit_all(starts, follow_up, settled)


async def test_a_full_disk_does_not_block_a_lane_for_ever(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.triggers._engine = FullDisk(danube.engine, 3)  # type: ignore[assignment]
        await danube.inbox.receive(InboxEntry(EntrySource.GITHUB, "old", PUSH, NOON - 3 * 86400))
        await danube.triggers.receive(WebhookDelivery(Forge.GITHUB, "d1", PUSH))
        await danube.settled(moving=True)
        assert await danube.outcome("old") == "app: given up: the disk is full"
        assert await danube.outcome("d1") == "app: started"


async def test_old_entries_are_forgotten_and_open_ones_are_not(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await danube.receive(PUSH)
        assert await danube.inbox.forget_settled(0.0, 0.0) == 0
        assert await danube.inbox.forget_settled(4e9, 0.0) == 1
