"""The commit of a job that a user starts: the request is answered first, and the job waits for its commit."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.queue import Obstacle
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.services.jobs.requests import rerun, start
from danube_pkg.services.jobs.waits import GIVE_UP_SECONDS
from tests.support.moved_clock import MovedClock
from tests.support.trigger_server import (
    NEWEST,
    NOON,
    URL,
    TriggerServer,
    a_pipeline,
    eventually,
    open_trigger_server,
)

APP = a_pipeline("app", TriggerKind.MANUAL)
UNREACHABLE = Unavailable("source-unreachable", "git.example.org cannot be reached now", cause="connection refused")


async def started(danube: TriggerServer, ref: str = "main") -> Job:
    return await start(danube.engine, danube.secrets, "app", actor="alice", ref=ref)


async def settled(danube: TriggerServer, job: Job) -> Job:
    """The job once its commit is known, or it has ended. Time advances meanwhile."""

    async def is_settled() -> bool:
        danube.clock.move(GIVE_UP_SECONDS / 10)
        found = await danube.engine.find(job.id)
        return found is not None and found.reason is not Reason.RESOLVING

    await eventually(is_settled, "the commit of the job")
    found = await danube.engine.find(job.id)
    assert found is not None
    return found


def answers_never(danube: TriggerServer, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """A repository that does not answer; the event is set when it is asked."""
    asked = asyncio.Event()

    async def resolve(repository: str, ref: str) -> Revision:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("it has no answer")

    monkeypatch.setattr(danube.sources, "resolve", resolve)
    return asked


async def test_a_request_is_answered_while_the_repository_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        asked = answers_never(danube, monkeypatch)
        job = await started(danube, "refs/heads/topic")
        assert (job.reason, job.trigger.revision) == (Reason.RESOLVING, Revision("", "refs/heads/topic", "topic"))
        await asked.wait()
        waiting = danube.engine.waiting(job)
        assert waiting.obstacle is Obstacle.COMMIT
        said = explain(job, waiting, "", danube.engine.waits_of(job.id))
        assert said.lines == (f"The commit of refs/heads/topic is being looked up in {URL}.",)


async def test_the_commit_is_that_of_the_first_answer(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        job = await settled(danube, await started(danube))
        assert (job.phase, job.reason, job.trigger.revision.commit_sha) == (Phase.QUEUED, Reason.QUEUED, NEWEST)
        assert danube.sources.requests == [f"{URL} main"]


async def test_a_ref_that_does_not_exist_ends_the_job_and_a_rerun_asks_again(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.failure = Permanent("source-unavailable", f"{URL} has no branch, tag or commit 'gone'")
        job = await settled(danube, await started(danube, "gone"))
        assert (job.phase, job.status, job.reason) == (Phase.CLOSED, Status.FAILURE, Reason.SOURCE_UNAVAILABLE)
        assert job.message == f"{URL} has no branch, tag or commit 'gone'"
        danube.sources.failure = None
        again = await settled(danube, await rerun(danube.engine, job, "alice"))
        assert (again.phase, again.trigger.revision.commit_sha) == (Phase.QUEUED, NEWEST)


async def test_an_unreachable_repository_is_asked_again_and_then_ends_the_job(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        danube.sources.failure = UNREACHABLE
        job = await started(danube)

        async def is_waiting() -> bool:
            danube.clock.move(1)
            return bool(danube.engine.waits_of(job.id))

        await eventually(is_waiting, "a wait that is shown")
        assert "connection refused" in danube.engine.waits_of(job.id)[0]
        danube.sources.failure = None
        assert (await settled(danube, job)).reason is Reason.QUEUED
        assert danube.engine.waits_of(job.id) == ()
        danube.sources.failure = UNREACHABLE
        before = danube.clock.now()
        ended = await settled(danube, await started(danube))
        assert (ended.status, ended.reason) == (Status.FAILURE, Reason.SOURCE_UNAVAILABLE)
        assert "connection refused" in ended.message
        assert danube.clock.now() - before >= GIVE_UP_SECONDS


async def test_a_server_that_was_killed_meanwhile_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovedClock(NOON)
    async with open_trigger_server(tmp_path, clock) as danube:
        await danube.configure(APP)
        asked = answers_never(danube, monkeypatch)
        job = await started(danube)
        await asked.wait()
    async with open_trigger_server(tmp_path, clock) as danube:
        assert (await settled(danube, job)).trigger.revision.commit_sha == NEWEST


async def test_a_job_is_cancelled_while_its_repository_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        asked = answers_never(danube, monkeypatch)
        job = await started(danube)
        await asked.wait()
        await danube.engine.cancel(job.id, "alice")

        async def is_removed() -> bool:
            return danube.engine.jobs_with_tasks == 0

        await eventually(is_removed, "the job's tasks to end")
        found = await danube.engine.find(job.id)
        assert found is not None
        assert (found.phase, found.status) == (Phase.CLOSED, Status.CANCELLED)


async def test_what_has_found_a_commit_does_not_wait_for_a_job_that_starts_later(tmp_path: Path) -> None:
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(APP)
        await settled(danube, await started(danube))
        await eventually(lambda: is_released(danube), "the process to be released")
        job = await settled(danube, await started(danube))
        await danube.engine.cancel(job.id, "alice")
        await eventually(lambda: is_released(danube), "that of a cancelled job to be released")


async def is_released(danube: TriggerServer) -> bool:
    danube.clock.move(1)
    return not danube.sources.waiting


async def test_a_repository_of_this_machine_is_asked_before_the_answer(tmp_path: Path) -> None:
    """It answers at once, so that a mistyped ref is refused and no job is stored."""
    async with open_trigger_server(tmp_path) as danube:
        await danube.configure(a_pipeline("app", TriggerKind.MANUAL, repository="/srv/app"))
        assert (await started(danube)).trigger.revision.commit_sha == NEWEST
        danube.sources.failure = Permanent("source-unavailable", "/srv/app has no branch, tag or commit 'gone'")
        with pytest.raises(Permanent, match="has no branch, tag or commit 'gone'"):
            await started(danube, "gone")
        assert len(await danube.jobs()) == 1
