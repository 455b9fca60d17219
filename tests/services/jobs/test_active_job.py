"""An active job: one event at a time, every sender answered, nothing left behind by a cancelled caller."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import StorageFull, Unavailable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import IllegalEvent
from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.reasons import Status
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.jobs import mailbox
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.mailbox import Mailbox
from danube_pkg.services.notifications.observer import JobObserver
from tests.services.stores import UnrulyJobs, a_job, open_database
from tests.support.waiting import wait_until_async, wait_until_true


class RunningJob:
    """An active job and the task of its mailbox."""

    def __init__(self, jobs: UnrulyJobs) -> None:
        self.jobs = jobs
        self.decided: list[Phase] = []
        self.active = ActiveJob(
            a_job(),
            (),
            jobs,
            SystemClock(),
            lambda active: self.decided.append(active.job.phase),
            JobObserver(AppliedConfiguration(), SystemClock()),
        )
        self.task = asyncio.create_task(self.active.mailbox.run(), name="mailbox")


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningJob]:
    async with open_database(tmp_path) as database:
        jobs = UnrulyJobs(database)
        await jobs.create_jobs([a_job()])
        made = RunningJob(jobs)
        yield made
        jobs.release()
        await end_all(made.task)


async def test_an_event_is_stored_before_it_is_visible(running: RunningJob) -> None:
    running.jobs.hold()
    asked = asyncio.create_task(running.active.apply(ev.Admitted("pod")), name="asked")
    await wait_until_async(lambda: running.jobs.waiting, 10, "the commit")
    assert (running.active.job.phase, running.decided) == (Phase.QUEUED, [])
    running.jobs.release()
    assert (await asked).phase is Phase.PREPARING
    stored = await running.jobs.load_job("01job")
    assert stored == running.active.job
    assert list(await running.jobs.owed_effects("01job")) == list(running.active.owed)
    assert running.decided == [Phase.PREPARING]


async def test_a_caller_that_is_cancelled_does_not_cancel_its_event(running: RunningJob) -> None:
    running.jobs.hold()
    asked = asyncio.create_task(running.active.apply(ev.Admitted("pod")), name="asked")
    await wait_until_async(lambda: running.jobs.waiting, 10, "the commit")
    await end_all(asked)
    running.jobs.release()
    await running.active.wait_until(lambda job: job.phase is Phase.PREPARING)
    assert await running.jobs.load_job("01job") == running.active.job


async def test_a_commit_that_fails_leaves_the_state_as_it_was(running: RunningJob) -> None:
    running.jobs.failures = [StorageFull("full", "no room"), Unavailable("locked", "locked")]
    for kind in (StorageFull, Unavailable):
        with pytest.raises(kind):
            await running.active.apply(ev.Admitted("pod"))
        assert (running.active.job.phase, list(running.active.owed)) == (Phase.QUEUED, [])
    assert (await running.active.apply(ev.Admitted("pod"))).phase is Phase.PREPARING
    assert len(running.active.owed) == 1


async def test_what_a_killed_server_would_find_again_is_stored_with_the_next_change(
    running: RunningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "STORE_SECONDS", 3600.0)
    for event in (ev.Admitted("pod"), ev.PodReady(0)):
        await running.active.apply(event)
    running.jobs.hold()
    await running.active.apply(ev.StepRequested(1, "test", "host"))
    assert running.active.step(1).name == "test"
    assert await running.jobs.load_job("01job") != running.active.job
    running.jobs.release()
    await running.active.apply(ev.StepPlaced(1, 1, 1))
    assert await running.jobs.load_job("01job") == running.active.job
    running.jobs.hold()
    await running.active.apply(ev.StepStarted(1, 1, 1_800_000_000.0))
    running.jobs.release()
    running.jobs.failures = [StorageFull("full", "no room")]
    with pytest.raises(StorageFull):
        await running.active.apply(ev.StepEnded(1, 1, ev.StepEnd(Status.SUCCESS, exit_code=0)))
    assert running.active.step(1).phase is StepPhase.STARTED
    await running.active.apply(ev.StepEnded(1, 1, ev.StepEnd(Status.SUCCESS, exit_code=0)))
    stored = await running.jobs.load_job("01job")
    assert stored is not None
    assert stored.steps == running.active.job.steps


async def test_it_is_stored_after_a_moment_in_which_nothing_else_happens(
    running: RunningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "STORE_SECONDS", 0.01)
    for event in (ev.Admitted("pod"), ev.PodReady(0)):
        await running.active.apply(event)
    running.jobs.failures = [StorageFull("full", "no room")]
    await running.active.apply(ev.StepRequested(1, "test", "host"))

    async def is_stored() -> bool:
        return await running.jobs.load_job("01job") == running.active.job

    await wait_until_true(is_stored, 10, "the step to be stored, though the disk was full once")


async def test_an_illegal_event_is_the_senders_error_and_the_mailbox_continues(running: RunningJob) -> None:
    with pytest.raises(IllegalEvent):
        await running.active.apply(ev.PodDeleted())
    assert (await running.active.apply(ev.Admitted("pod"))).phase is Phase.PREPARING


async def test_every_sender_gets_an_error_when_the_mailbox_ends(running: RunningJob) -> None:
    """The sender of the message that is being handled, those behind it, and one that comes later."""
    running.jobs.hold()
    asked = [asyncio.create_task(running.active.apply(ev.Admitted("pod")), name=f"asked {n}") for n in range(3)]
    await wait_until_async(lambda: running.jobs.waiting, 10, "the commit")
    await end_all(running.task)
    for task in asked:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(task, 10)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(running.active.apply(ev.CancelRequested("late")), 10)


async def test_senders_that_wait_for_room_in_a_full_mailbox_get_an_error_too() -> None:
    handling = asyncio.Event()

    async def handle(event: ev.JobEvent | None, done: Effect | None) -> Job:
        handling.set()
        return await asyncio.get_running_loop().create_future()

    full = Mailbox(handle, capacity=2)
    serving = asyncio.create_task(full.run(), name="mailbox")
    asked = [asyncio.create_task(full.post(ev.CancelRequested("me"), None), name=f"asked {n}") for n in range(6)]
    await handling.wait()
    assert full.waiting == 2
    await end_all(serving)
    ends = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
    assert [type(end) for end in ends] == [Unavailable] * 6


async def test_a_cancelled_waiter_is_removed(running: RunningJob) -> None:
    for _ in range(50):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await running.active.wait_until(lambda job: job.phase is Phase.CLOSED)
    assert not running.active.waiters


async def test_a_slow_reader_of_states_gets_the_last_one(running: RunningJob) -> None:
    async with running.active.watch() as states:
        seen = [await anext(states)]
        await running.active.apply(ev.CancelRequested("me"))
        seen += [state async for state in states]
    assert [job.phase for job in seen] == [Phase.QUEUED, Phase.CLOSED]
