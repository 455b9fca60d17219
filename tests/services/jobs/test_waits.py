"""Waits for what is outside of the pod: said in the log and by the explanation, and ended within a bound."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from danube_pkg.core.errors import Permanent, StorageFull, Unavailable
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Pauses, Timing
from danube_pkg.services.egress import Egress
from danube_pkg.services.jobs import job_waits, waits
from danube_pkg.services.jobs.active_job import ActiveJob
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
