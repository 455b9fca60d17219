"""Following a job: every byte once and in order, states as they come, the last state after the whole log."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.core.errors import NotFound
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.reasons import Status
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.follow import LogPart, follow_job
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Print, plays
from tests.services.jobs.test_coordination import (
    TRIGGER,
    asked,
    closed,
    running_job,
)
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async


async def follow(setup: EngineSetup, job_id: str, begin: int = 0) -> tuple[bytes, list[Job]]:
    """The whole log and all states; checks that parts are contiguous, and that nothing comes after the last state."""
    log, at = b"", begin
    states: list[Job] = []
    async with follow_job(setup.engine, setup.logs, job_id, begin) as updates:
        async for item in updates:
            assert not states or not states[-1].status.ended, "something came after the end"
            if isinstance(item, LogPart):
                assert item.offset == at
                log += item.data
                at += len(item.data)
            else:
                states.append(item)
    return log, states


async def finished_job(setup: EngineSetup, machine: FakeMachine) -> str:
    machine.commands["talk"] = plays(*(Print(b"line %d\n" % number) for number in range(500)))
    job_id = await running_job(setup)
    await setup.coordination.run_step(job_id, asked("talk"))
    await setup.coordination.finish(job_id, None)
    await closed(setup, job_id)
    return job_id


async def test_viewers_from_the_beginning_from_the_middle_and_afterwards_see_the_same(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["talk"] = plays(*(Print(b"line %d\n" % number) for number in range(500)))
    async with open_engine_setup(tmp_path, machine) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        early = asyncio.create_task(follow(setup, job.id), name="from the beginning")
        await viewer_waits(setup.engine.active_job(job.id))
        setup.limit(1)
        await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        await setup.coordination.run_step(job.id, asked("talk"))
        middle = asyncio.create_task(follow(setup, job.id, 100), name="from the middle")
        await setup.coordination.finish(job.id, None)
        (log, states), (rest, _) = await asyncio.wait_for(asyncio.gather(early, middle), 30)
        await closed(setup, job.id)
        whole = setup.logs.path(job.id).read_bytes()
        assert log == whole
        assert rest == whole[100:]
        assert whole.count(b"line ") == 500
        assert [states[0].status, states[-1].status] == [Status.PENDING, Status.SUCCESS]
        assert len({id(state) for state in states}) == len(states)
        after, last = await follow(setup, job.id)
        assert after == whole
        assert [state.status for state in last] == [Status.SUCCESS]
        assert await follow(setup, job.id, len(whole)) == (b"", last)


async def viewer_waits(active: ActiveJob) -> None:
    """Until a queued job's only viewer has its first state and waits for the log, which does not exist yet."""
    await wait_until_async(
        lambda: active.waiters == 3, 10, "the job's effects, the viewer's states and its log to wait"
    )


async def test_a_job_that_was_cancelled_in_the_queue_ends_its_viewers_without_a_log(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        viewer = asyncio.create_task(follow(setup, job.id), name="viewer")
        await viewer_waits(setup.engine.active_job(job.id))
        await setup.engine.cancel(job.id, "me")
        log, states = await asyncio.wait_for(viewer, 10)
        assert (log, states[-1].status) == (b"", Status.CANCELLED)


async def test_notices_are_visible_while_the_pod_is_being_created(tmp_path: Path) -> None:
    """A pull takes minutes, in which the job's state does not change."""
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        active = setup.engine.active_job(job.id)
        seen: list[bytes] = []

        async def view() -> None:
            async with follow_job(setup.engine, setup.logs, job.id) as updates:
                async for item in updates:
                    if isinstance(item, LogPart):
                        seen.append(item.data)

        viewer = asyncio.create_task(view(), name="viewer")
        await viewer_waits(active)
        (await setup.resources.log(active)).note("pull", 0, "--- pulling the image")
        await wait_until_async(lambda: b"pulling" in b"".join(seen), 10, "the notice to be seen")
        assert active.job.phase is Phase.QUEUED
        await end_all(viewer)


async def test_a_viewer_that_does_not_read_delays_nothing(tmp_path: Path) -> None:
    machine = FakeMachine()
    async with open_engine_setup(tmp_path, machine) as setup:
        machine.commands["flood"] = plays(*[Print(b"x" * 99_999 + b"\n")] * 40)
        job_id = await running_job(setup)
        async with follow_job(setup.engine, setup.logs, job_id) as updates:
            await anext(updates)
            await asyncio.wait_for(setup.coordination.run_step(job_id, asked("flood")), 30)
            await setup.coordination.finish(job_id, None)
            await closed(setup, job_id)
            size = setup.logs.size(job_id)
            rest = [item async for item in updates]
        assert sum(len(item.data) for item in rest if isinstance(item, LogPart)) == size
        assert isinstance(rest[-1], Job)
        assert rest[-1].status is Status.SUCCESS


async def test_a_viewer_that_disconnects_leaves_nothing_behind(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        active = setup.engine.active_job(job_id)
        await active.wait_until(lambda job: job.steps[0].phase is StepPhase.STARTED)
        await wait_until_async(lambda: active.waiters == 3, 10, "its effects, its follower and its deadline to wait")
        before = active.waiters, len(asyncio.all_tasks())
        for _ in range(20):
            viewer = asyncio.create_task(follow(setup, job_id), name="viewer")
            await wait_until_async(lambda: active.waiters > before[0], 10, "the viewer to wait")
            await end_all(viewer)
        assert (active.waiters, len(asyncio.all_tasks())) == before


async def test_following_an_unknown_job_raises_not_found(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        with pytest.raises(NotFound):
            await follow(setup, "no-such-job")


@pytest.mark.parametrize(
    ("owners", "runs"),
    [
        ((), [(b"abcdef", None)]),
        (((10, 1),), [(b"abcdef", 1)]),
        (((10, 1), (12, 2), (15, 0)), [(b"ab", 1), (b"cde", 2), (b"f", 0)]),
        (((12, 2),), [(b"abcdef", 2)]),  # bytes before the first record belong to it too: none is lost
    ],
)
def test_a_part_of_the_log_is_divided_by_its_steps(
    owners: tuple[tuple[int, int], ...], runs: list[tuple[bytes, int | None]]
) -> None:
    assert list(LogPart(10, b"abcdef", owners).runs()) == runs
