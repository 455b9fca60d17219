"""The engine at the moments at which two things happen at once."""

import asyncio
from contextlib import nullcontext
from pathlib import Path

import pytest

from danube_pkg.core.errors import Conflict, NotFound, StorageFull, Unavailable
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Status
from danube_pkg.kit.tasks import end_all
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async, wait_until_true

TRIGGER = Trigger("manual", "me")


async def has_phase(setup: EngineSetup, job_id: str, phase: Phase) -> None:
    async def reached() -> bool:
        job = await setup.jobs.load_job(job_id)
        return job is not None and job.phase is phase

    await wait_until_true(reached, 20, f"{job_id} to be {phase}")


async def test_a_job_becomes_active_though_its_caller_was_cancelled(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.jobs.hold()
        caller = asyncio.create_task(setup.engine.submit(PIPELINE, TRIGGER), name="caller")
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the commit")
        await end_all(caller)
        setup.jobs.release()
        await wait_until_async(lambda: setup.machine.pods, 20, "its pod")
        (pod,) = setup.machine.pods.values()
        assert setup.engine.active_job(pod.spec.job_id).job.trigger == TRIGGER


async def test_a_job_that_could_not_be_stored_does_not_exist(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.jobs.failures = [StorageFull("full", "no room")]
        with pytest.raises(StorageFull):
            await setup.engine.submit(PIPELINE, TRIGGER)
        assert list(await setup.jobs.list_jobs(JobFilter())) == []
        assert (await setup.engine.submit(PIPELINE, TRIGGER)).phase is Phase.QUEUED


async def test_two_calls_for_one_reserved_id_are_one_job(tmp_path: Path) -> None:
    """A caller repeated its request with the same idempotency key, while its first job was being stored."""
    async with open_engine_setup(tmp_path) as setup:
        setup.jobs.hold()
        first = asyncio.create_task(setup.engine.submit(PIPELINE, TRIGGER, job_id="reserved"), name="first")
        second = asyncio.create_task(setup.engine.submit(PIPELINE, TRIGGER, job_id="reserved"), name="second")
        await wait_until_async(lambda: setup.jobs.waiting == 2, 10, "both commits")
        setup.jobs.release()
        assert {(await first).id, (await second).id} == {"reserved"}
        active = setup.engine.active_job("reserved")
        await active.wait_until(lambda job: job.phase is Phase.RUNNING)
        again = await setup.engine.submit(PIPELINE, TRIGGER, job_id="reserved")
        assert (again.phase, setup.engine.active_job("reserved") is active) == (Phase.RUNNING, True)
        assert [pod.spec.job_id for pod in setup.machine.pods.values()] == ["reserved"]


async def test_a_full_disk_at_admission_does_not_end_admission(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        setup.jobs.failures = [StorageFull("full", "no room"), Unavailable("locked", "locked")]
        setup.limit(1)
        await has_phase(setup, job.id, Phase.RUNNING)


async def test_a_cancel_at_the_moment_of_admission_delays_no_other_job(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        first = await setup.engine.submit(PIPELINE, TRIGGER)
        second = await setup.engine.submit(PIPELINE, TRIGGER)
        setup.jobs.hold()
        cancelling = asyncio.create_task(setup.engine.cancel(first.id, "me"), name="cancel")
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the cancel's commit")
        setup.limit(2)
        await wait_until_async(lambda: setup.engine.active_job(first.id).mailbox.waiting, 10, "the admission behind it")
        setup.jobs.release()
        assert (await cancelling).status is Status.CANCELLED
        await has_phase(setup, second.id, Phase.RUNNING)


async def test_a_request_for_a_job_that_is_being_closed_is_answered(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        active = setup.engine.active_job(job.id)
        setup.jobs.hold()
        asked = [asyncio.create_task(setup.engine.cancel(job.id, f"p{n}"), name=f"cancel {n}") for n in range(3)]
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the commit")
        setup.jobs.release()
        ends = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
        assert {type(end) for end in ends} <= {type(active.job), Unavailable}
        assert active.job.cancelled_by == "p0"
        with pytest.raises(Conflict):
            await setup.engine.cancel(job.id, "late")
        with pytest.raises(NotFound):
            await setup.engine.cancel("no-such-job", "me")


@pytest.mark.parametrize(("outcome", "refusal"), [(ev.Finished(), "success"), (ev.CancelRequested("them"), "")])
async def test_a_cancel_behind_the_outcome_is_refused_unless_that_is_a_cancel_too(
    tmp_path: Path, outcome: ev.JobEvent, refusal: str
) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        await has_phase(setup, job.id, Phase.RUNNING)
        active = setup.engine.active_job(job.id)
        setup.jobs.hold()
        ending = asyncio.create_task(active.apply(outcome), name="end")
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the commit of the outcome")
        cancelling = asyncio.create_task(setup.engine.cancel(job.id, "me"), name="cancel")
        await wait_until_async(lambda: active.mailbox.waiting, 10, "the cancel behind it")
        setup.jobs.release()
        await ending
        expected = pytest.raises(Conflict, match=f"is ending already: {refusal}") if refusal else nullcontext()
        with expected:
            assert (await cancelling).outcome is Status.CANCELLED


async def test_a_job_is_watched_and_cancelled_from_the_moment_at_which_it_is_stored(tmp_path: Path) -> None:
    """Lists show it from then on; its submission has not made it active yet."""
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        setup.jobs.hold_answers()
        submitting = asyncio.create_task(setup.engine.submit(PIPELINE, TRIGGER, job_id="new"), name="submit")
        await has_phase(setup, "new", Phase.QUEUED)
        cancelling = asyncio.create_task(setup.engine.cancel("new", "me"), name="cancel")
        watching = asyncio.create_task(states_of(setup, "new"), name="watch")
        setup.jobs.release_answers()
        assert (await submitting).phase is Phase.QUEUED
        assert (await cancelling).status is Status.CANCELLED
        assert (await asyncio.wait_for(watching, 10))[-1].status is Status.CANCELLED


async def states_of(setup: EngineSetup, job_id: str) -> list[Job]:
    async with setup.engine.watch(job_id) as states:
        return [job async for job in states]


async def test_a_closed_job_leaves_nothing_in_memory(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        await has_phase(setup, job.id, Phase.RUNNING)
        await setup.engine.cancel(job.id, "me")
        await has_phase(setup, job.id, Phase.CLOSED)
        stored = (setup.jobs._saved, setup.logs._open, setup.machine.pods)
        await wait_until_async(
            lambda: not (setup.engine.open_jobs or setup.engine.jobs_with_tasks or any(stored)), 10, "it to be removed"
        )


async def test_a_stopping_server_answers_every_caller(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.limit(0)
        job = await setup.engine.submit(PIPELINE, TRIGGER)
        setup.jobs.hold()
        asked = [
            asyncio.create_task(setup.engine.cancel(job.id, "me"), name="cancel"),
            asyncio.create_task(setup.engine.submit(PIPELINE, TRIGGER), name="submit"),
        ]
        await wait_until_async(lambda: setup.jobs.waiting == 2, 10, "both commits")
    for task in asked:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(task, 10)


async def test_a_stopping_server_does_not_wait_for_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Git server that is slow, or a worker on a busy machine: nothing is stored yet, so the caller repeats."""
    async with open_engine_setup(tmp_path) as setup:
        asked = asyncio.Event()

        async def resolve(repository: str, ref: str) -> None:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(setup.sources, "resolve", resolve)
        caller = asyncio.create_task(setup.engine.revision(PIPELINE, "main"), name="caller")
        await asked.wait()
        setup.engine.stop_accepting()
        with pytest.raises(Unavailable, match="no job was created"):
            await asyncio.wait_for(caller, 10)
