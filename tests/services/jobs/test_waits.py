"""Waits for what is outside of the pod: said in the log and by the explanation, and ended within a bound."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.errors import Permanent, StorageFull, Unavailable
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.pods import Container
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Pauses, Timing
from danube_pkg.services.egress import Egress
from danube_pkg.services.jobs import job_waits, waits
from danube_pkg.services.jobs.active_job import ActiveJob
from tests.fakes.processes import Hang, plays
from tests.fakes.runtime import FakeRuntime
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

UNREACHABLE = Unavailable("source-unreachable", "git.example.org cannot be reached now", cause="connection refused")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "NOTICE_SECONDS", 0.05)
    monkeypatch.setattr(waits, "GIVE_UP_SECONDS", 0.5)
    monkeypatch.setattr(waits, "PAUSES", Pauses(0.01, 0.02))
    monkeypatch.setattr(job_waits, "SHOWN_SECONDS", 0.0)


async def running(setup: EngineSetup) -> ActiveJob:
    """A job whose coordinator hangs, so that the test calls in its place."""
    job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
    active = setup.engine.active_job(job.id)
    await active.wait_until(lambda job: job.phase is Phase.RUNNING)
    return active


def log_of(setup: EngineSetup, active: ActiveJob) -> str:
    return (setup.path / "logs" / f"{active.job.id}.log").read_text()


async def source_of(setup: EngineSetup, active: ActiveJob) -> bytes:
    async with aclosing(setup.coordination.source(active.job.id)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_an_unreachable_repository_is_in_the_log_and_the_explanation_and_ends_the_job(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        setup.sources.failure = UNREACHABLE
        active = await running(setup)
        reading = asyncio.create_task(source_of(setup, active), name="source")
        line = "waiting for the source: git.example.org cannot be reached now: connection refused"
        await wait_until_async(lambda: line in log_of(setup, active), 30, "the line in the log")
        said = explain(active.job, None, "", setup.engine.waits_of(active.job.id)).lines
        assert any("It has been waiting for the source for" in one and "connection refused" in one for one in said)
        with pytest.raises(Permanent, match="the source was not available for") as end:
            await reading
        assert (end.value.reference, end.value.cause) == (Reason.SOURCE_UNAVAILABLE, str(UNREACHABLE))
        assert setup.engine.waits_of(active.job.id) == ()


async def test_an_unreachable_registry_is_in_the_log_and_ends_the_step_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(
        runtime: FakeRuntime, pod_id: str, image: str, files: object = (), isolation: int = 0
    ) -> Container:
        raise Unavailable("registry-unreachable", "registry.test does not answer", cause="connection refused")

    monkeypatch.setattr(FakeRuntime, "ensure_container", unreachable)
    async with open_engine_setup(tmp_path) as setup:
        active = await running(setup)
        request = StepRequest(1, "pulls", "true", "registry.test/app:1", {}, "/workspace", 0, 0, check=True)
        outcome = await setup.coordination.run_step(active.job.id, request)
        line = (
            "waiting for a container of image 'registry.test/app:1': registry.test does not answer: connection refused"
        )
        assert line in log_of(setup, active)
    assert (outcome.end.status, outcome.end.reason) == (Status.FAILURE, Reason.IMAGE_PULL_FAILED)
    assert "registry.test does not answer: connection refused" in outcome.end.message


async def test_a_repository_that_is_reachable_again_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "GIVE_UP_SECONDS", 300.0)
    async with open_engine_setup(tmp_path) as setup:
        setup.sources.failure = UNREACHABLE
        active = await running(setup)
        reading = asyncio.create_task(source_of(setup, active), name="source")
        await wait_until_async(lambda: "waiting for the source" in log_of(setup, active), 30, "the line in the log")
        setup.sources.failure = None
        assert b"danubefile.py" in await reading
        assert "waiting for the source: available after" in log_of(setup, active)


async def test_masks_that_no_proxy_takes_end_the_call_with_their_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mask(self: Egress, job: Job) -> None:
        raise Unavailable("egress-proxy-slow", "the egress proxy does not answer")

    monkeypatch.setattr(Egress, "mask", mask)
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"correct horse", "me")
        active = await running(setup)
        with pytest.raises(Permanent, match="the egress proxy was not available for") as end:
            await setup.coordination.read_secret(active.job.id, 1, "TOKEN")
        assert end.value.reference == Reason.INFRASTRUCTURE_LOST
        assert "waiting for the egress proxy: the egress proxy does not answer" in log_of(setup, active)


async def test_a_call_without_an_answer_is_a_wait_too(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        active = await running(setup)
        answer = asyncio.Event()
        waiting = waits.Waits(Timing(SystemClock()), setup.resources.log)
        call = asyncio.create_task(
            waiting.until_done(active, "the registry", answer.wait, Reason.POD_FAILED), name="call"
        )
        line = "waiting for the registry: there is no answer yet"
        await wait_until_async(lambda: line in log_of(setup, active), 30, "the line in the log")
        answer.set()
        assert await call
        assert setup.engine.waits_of(active.job.id) == ()


async def test_a_full_disk_is_waited_for_and_nothing_else_for_ever(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        active = await running(setup)
        waiting = waits.Waits(Timing(SystemClock()), setup.resources.log)
        active.waits.begin("the pod", 1000.0)
        await waiting.failed(active, "the pod", StorageFull("disk-full", "no space"), Reason.POD_FAILED)
        assert len(setup.engine.waits_of(active.job.id)) == 1
        with pytest.raises(Permanent) as end:
            await waiting.failed(active, "the pod", Unavailable("pod-busy", "busy"), Reason.POD_FAILED)
        assert end.value.reference == Reason.POD_FAILED


def test_causes_that_differ_each_time_do_not_fill_the_log() -> None:
    made = job_waits.JobWaits(SystemClock())
    made.failed("the source", "first")
    assert [made.is_new("the source", str(number % 20)) for number in range(40)].count(True) == job_waits.MAX_CAUSES


# --- the slot of a job that waits


async def a_waiting_job(setup: EngineSetup) -> tuple[ActiveJob, "asyncio.Task[bytes]"]:
    """The only one that the server may run, and its call for its source, which waits."""
    setup.applied.replace(State(ConfigSpec(max_concurrent_jobs=1)), Applied())
    setup.sources.failure = UNREACHABLE
    active = await running(setup)
    return active, asyncio.create_task(source_of(setup, active), name="source")


async def test_others_start_in_the_slot_of_a_job_that_waits_and_it_continues_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "GIVE_UP_SECONDS", 300.0)
    monkeypatch.setattr(waits, "LEND_SECONDS", 0.05)
    async with open_engine_setup(tmp_path) as setup:
        first, reading = await a_waiting_job(setup)
        second = await running(setup)  # it starts while the first one waits
        assert "Others start in its slot meanwhile." in setup.engine.waits_of(first.job.id)
        third = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        setup.sources.failure = None
        line = "waiting for a slot of max_concurrent_jobs: other jobs started while it waited for the source"
        await wait_until_async(lambda: line in log_of(setup, first), 30, "the line in the log")
        assert any("a slot of max_concurrent_jobs" in one for one in setup.engine.waits_of(first.job.id))
        assert not reading.done()
        await setup.engine.cancel(second.job.id, "me")
        assert b"danubefile.py" in await reading  # before the third, which is older than this wait
        assert setup.engine.active_job(third.id).job.phase is Phase.QUEUED
        assert setup.engine.waits_of(first.job.id) == ()


async def test_a_job_that_is_cancelled_while_it_waits_for_a_slot_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "GIVE_UP_SECONDS", 300.0)
    monkeypatch.setattr(waits, "LEND_SECONDS", 0.05)
    async with open_engine_setup(tmp_path) as setup:
        first, reading = await a_waiting_job(setup)
        await running(setup)
        setup.sources.failure = None
        await wait_until_async(lambda: "waiting for a slot" in log_of(setup, first), 30, "the line in the log")
        await setup.engine.cancel(first.job.id, "me")
        await asyncio.wait([reading], timeout=30)
        assert reading.done()
        await first.wait_until(lambda job: job.status.ended)


async def test_a_job_with_a_running_step_keeps_its_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "LEND_SECONDS", 0.0)
    async with open_engine_setup(tmp_path) as setup:
        setup.machine.commands["works"] = plays(Hang())
        active = await running(setup)
        step = asyncio.create_task(
            setup.coordination.run_step(
                active.job.id, StepRequest(1, "works", "works", "", {}, "/workspace", 0, 0, check=True)
            ),
            name="step",
        )
        await active.wait_until(lambda job: any(one.sequence == 1 and one.container for one in job.steps))
        waiting = waits.Waits(Timing(SystemClock()), setup.resources.log, setup.engine.slots)
        await waiting.failed(active, "the source", UNREACHABLE, Reason.SOURCE_UNAVAILABLE)
        assert not setup.engine.slots.is_lent(active.job.id)
        await setup.engine.cancel(active.job.id, "me")
        await asyncio.wait([step], timeout=30)
