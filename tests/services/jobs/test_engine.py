"""The engine at the moments at which two things happen at once."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.core.errors import Conflict, NotFound, StorageFull, Unavailable
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Status
from danube_pkg.kit.tasks import end_all
from tests.services.jobs.engines import Hall, open_hall
from tests.services.stores import PIPELINE
from tests.support.waiting import wait_until_async, wait_until_true

TRIGGER = Trigger("manual", "me")


async def has_phase(hall: Hall, job_id: str, phase: Phase) -> None:
    async def reached() -> bool:
        job = await hall.jobs.load_job(job_id)
        return job is not None and job.phase is phase

    await wait_until_true(reached, 20, f"{job_id} to be {phase}")


async def test_a_job_whose_caller_left_is_taken_up_all_the_same(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        hall.jobs.hold()
        caller = asyncio.create_task(hall.engine.submit(PIPELINE, TRIGGER), name="caller")
        await wait_until_async(lambda: hall.jobs.waiting, 10, "the commit")
        await end_all(caller)
        hall.jobs.let_go()
        await wait_until_async(lambda: hall.machine.pods, 20, "its pod")
        (job_id,) = hall.machine.pods
        assert hall.engine.live(job_id).job.trigger == TRIGGER


async def test_a_job_that_could_not_be_written_is_not_there(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        hall.jobs.failures = [StorageFull("full", "no room")]
        with pytest.raises(StorageFull):
            await hall.engine.submit(PIPELINE, TRIGGER)
        assert list(await hall.jobs.list_jobs(JobFilter())) == []
        assert (await hall.engine.submit(PIPELINE, TRIGGER)).phase is Phase.QUEUED


async def test_two_calls_for_one_reserved_id_are_one_job(tmp_path: Path) -> None:
    """A caller left and came again with its idempotency key, while its first job was being written."""
    async with open_hall(tmp_path) as hall:
        hall.jobs.hold()
        first = asyncio.create_task(hall.engine.submit(PIPELINE, TRIGGER, job_id="reserved"), name="first")
        second = asyncio.create_task(hall.engine.submit(PIPELINE, TRIGGER, job_id="reserved"), name="second")
        await wait_until_async(lambda: hall.jobs.waiting == 2, 10, "both commits")
        hall.jobs.let_go()
        assert {(await first).id, (await second).id} == {"reserved"}
        live = hall.engine.live("reserved")
        await live.wait_until(lambda job: job.phase is Phase.RUNNING)
        again = await hall.engine.submit(PIPELINE, TRIGGER, job_id="reserved")
        assert (again.phase, hall.engine.live("reserved") is live) == (Phase.RUNNING, True)
        assert list(hall.machine.pods) == ["reserved"]


async def test_a_full_disk_at_admission_does_not_end_admission(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        hall.places[0] = 0
        job = await hall.engine.submit(PIPELINE, TRIGGER)
        hall.jobs.failures = [StorageFull("full", "no room"), Unavailable("locked", "locked")]
        hall.places[0] = 1
        hall.engine.reconsider_queue()
        await has_phase(hall, job.id, Phase.RUNNING)


async def test_a_cancel_at_the_moment_of_admission_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        hall.places[0] = 0
        first = await hall.engine.submit(PIPELINE, TRIGGER)
        second = await hall.engine.submit(PIPELINE, TRIGGER)
        hall.jobs.hold()
        cancelling = asyncio.create_task(hall.engine.cancel(first.id, "me"), name="cancel")
        await wait_until_async(lambda: hall.jobs.waiting, 10, "the cancel's commit")
        hall.places[0] = 2
        hall.engine.reconsider_queue()
        await wait_until_async(lambda: hall.engine.live(first.id)._mailbox.qsize(), 10, "the admission behind it")
        hall.jobs.let_go()
        assert (await cancelling).status is Status.CANCELLED
        await has_phase(hall, second.id, Phase.RUNNING)


async def test_asking_something_of_a_job_that_is_just_being_closed_is_answered(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        hall.places[0] = 0
        job = await hall.engine.submit(PIPELINE, TRIGGER)
        live = hall.engine.live(job.id)
        hall.jobs.hold()
        asked = [asyncio.create_task(hall.engine.cancel(job.id, f"p{n}"), name=f"cancel {n}") for n in range(3)]
        await wait_until_async(lambda: hall.jobs.waiting, 10, "the commit")
        hall.jobs.let_go()
        ends = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
        assert {type(end) for end in ends} <= {type(live.job), Unavailable}
        assert live.job.cancelled_by == "p0"
        with pytest.raises(Conflict):
            await hall.engine.cancel(job.id, "late")
        with pytest.raises(NotFound):
            await hall.engine.cancel("no-such-job", "me")


async def test_a_closed_job_leaves_nothing_in_memory(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        job = await hall.engine.submit(PIPELINE, TRIGGER)
        await has_phase(hall, job.id, Phase.RUNNING)
        await hall.engine.cancel(job.id, "me")
        await has_phase(hall, job.id, Phase.CLOSED)
        held = (hall.engine._live, hall.engine._tasks, hall.jobs._saved, hall.logs._open, hall.machine.pods)
        await wait_until_async(lambda: not any(held), 10, "everything of it to be let go")


async def test_a_stopping_server_answers_whoever_waits(tmp_path: Path) -> None:
    async with open_hall(tmp_path) as hall:
        hall.places[0] = 0
        job = await hall.engine.submit(PIPELINE, TRIGGER)
        hall.jobs.hold()
        asked = [
            asyncio.create_task(hall.engine.cancel(job.id, "me"), name="cancel"),
            asyncio.create_task(hall.engine.submit(PIPELINE, TRIGGER), name="submit"),
        ]
        await wait_until_async(lambda: hall.jobs.waiting == 2, 10, "both commits")
    for task in asked:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(task, 10)
