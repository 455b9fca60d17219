"""A job's mailbox: one event at a time, every letter answered, nothing left behind by who leaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import StorageFull, Unavailable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.transitions import IllegalEvent
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.jobs import active_job as live_module
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.notifications.observer import JobObserver
from tests.services.stores import UnrulyJobs, a_job, open_database
from tests.support.waiting import wait_until_async


class Mailbox:
    """A live job and the task that serves it."""

    def __init__(self, jobs: UnrulyJobs) -> None:
        self.jobs = jobs
        self.decided: list[Phase] = []
        self.live = ActiveJob(
            a_job(),
            (),
            jobs,
            SystemClock(),
            lambda live: self.decided.append(live.job.phase),
            JobObserver(AppliedConfiguration(), SystemClock()),
        )
        self.task = asyncio.create_task(self.live.run_mailbox(), name="mailbox")


@pytest_asyncio.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with open_database(tmp_path) as database:
        jobs = UnrulyJobs(database)
        await jobs.create_jobs([a_job()])
        made = Mailbox(jobs)
        yield made
        jobs.let_go()
        await end_all(made.task)


async def test_an_event_is_committed_before_it_is_seen(mailbox: Mailbox) -> None:
    mailbox.jobs.hold()
    asked = asyncio.create_task(mailbox.live.apply(ev.Admitted("pod")), name="asked")
    await wait_until_async(lambda: mailbox.jobs.waiting, 10, "the commit")
    assert (mailbox.live.job.phase, mailbox.decided) == (Phase.QUEUED, [])
    mailbox.jobs.let_go()
    assert (await asked).phase is Phase.PREPARING
    stored = await mailbox.jobs.load_job("01job")
    assert stored == mailbox.live.job
    assert list(await mailbox.jobs.owed_effects("01job")) == list(mailbox.live.owed)
    assert mailbox.decided == [Phase.PREPARING]


async def test_who_leaves_while_its_event_is_committed_changes_nothing(mailbox: Mailbox) -> None:
    mailbox.jobs.hold()
    asked = asyncio.create_task(mailbox.live.apply(ev.Admitted("pod")), name="asked")
    await wait_until_async(lambda: mailbox.jobs.waiting, 10, "the commit")
    await end_all(asked)
    mailbox.jobs.let_go()
    await mailbox.live.wait_until(lambda job: job.phase is Phase.PREPARING)
    assert await mailbox.jobs.load_job("01job") == mailbox.live.job


async def test_a_commit_that_fails_leaves_the_state_as_it_was(mailbox: Mailbox) -> None:
    mailbox.jobs.failures = [StorageFull("full", "no room"), Unavailable("locked", "locked")]
    for kind in (StorageFull, Unavailable):
        with pytest.raises(kind):
            await mailbox.live.apply(ev.Admitted("pod"))
        assert (mailbox.live.job.phase, list(mailbox.live.owed)) == (Phase.QUEUED, [])
    assert (await mailbox.live.apply(ev.Admitted("pod"))).phase is Phase.PREPARING
    assert len(mailbox.live.owed) == 1


async def test_an_event_that_cannot_be_is_its_senders_and_the_mailbox_goes_on(mailbox: Mailbox) -> None:
    with pytest.raises(IllegalEvent):
        await mailbox.live.apply(ev.PodDeleted())
    assert (await mailbox.live.apply(ev.Admitted("pod"))).phase is Phase.PREPARING


async def test_whoever_waits_is_told_when_the_mailbox_ends(mailbox: Mailbox) -> None:
    """The letter that is being decided, those behind it, and one that comes later."""
    mailbox.jobs.hold()
    asked = [asyncio.create_task(mailbox.live.apply(ev.Admitted("pod")), name=f"asked {n}") for n in range(3)]
    await wait_until_async(lambda: mailbox.jobs.waiting, 10, "the commit")
    await end_all(mailbox.task)
    for task in asked:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(task, 10)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(mailbox.live.apply(ev.CancelAsked("late")), 10)


async def test_who_waits_for_room_in_a_full_mailbox_is_told_too(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "MAILBOX_EVENTS", 2)
    full = Mailbox(mailbox.jobs)
    mailbox.jobs.hold()
    asked = [asyncio.create_task(full.live.apply(ev.CancelAsked("me")), name=f"asked {n}") for n in range(6)]
    await wait_until_async(lambda: mailbox.jobs.waiting, 10, "the commit")
    await end_all(full.task)
    ends = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
    assert [type(end) for end in ends] == [Unavailable] * 6


async def test_waiters_that_leave_are_forgotten(mailbox: Mailbox) -> None:
    for _ in range(50):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await mailbox.live.wait_until(lambda job: job.phase is Phase.CLOSED)
    assert not mailbox.live._waiting


async def test_a_slow_reader_of_states_sees_the_last_one(mailbox: Mailbox) -> None:
    async with mailbox.live.watch() as states:
        seen = [await anext(states)]
        await mailbox.live.apply(ev.CancelAsked("me"))
        seen += [state async for state in states]
    assert [job.phase for job in seen] == [Phase.QUEUED, Phase.CLOSED]
