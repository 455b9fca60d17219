"""Pods of failed jobs: kept for their time, within bounds, and by a restarted server too."""

from pathlib import Path

import pytest

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.errors import Conflict, Unauthenticated
from danube_pkg.core.jobs.events import Approved, ScriptFailure
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs import kept_pods
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Exit, plays
from tests.services.jobs.test_grace import asked
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async, wait_until_true

SECONDS = 20


@pytest.fixture(autouse=True)
def short_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pods, "CHECK_SECONDS", 0.02)


def machine() -> FakeMachine:
    made = FakeMachine()
    made.commands["break"] = plays(Exit(3))
    return made


async def failed_job(
    setup: EngineSetup, keep_seconds: int = 1800, trigger: Trigger | None = None, image: str = ""
) -> Job:
    """A job that has failed, as its server shows it then."""
    settings = replace(PIPELINE.settings, keep_failed_seconds=keep_seconds, network=Network.ALLOWLIST)
    job = await setup.engine.submit(replace(PIPELINE, settings=settings), trigger or Trigger("manual", "me"))
    active = setup.engine.active_job(job.id)
    if job.reason is Reason.APPROVAL_REQUIRED:
        await active.apply(Approved("alice", job.trigger.revision.commit_sha))
        setup.engine.wake_scheduler()
    await active.wait_until(lambda job: job.phase is Phase.RUNNING)
    await setup.coordination.run_step(job.id, replace(asked("break"), image=image))
    await setup.coordination.finish(job.id, ScriptFailure(Reason.STEP_FAILED, "step 1", 1))
    return await active.wait_until(lambda job: job.status.ended)


async def closed(setup: EngineSetup, job_id: str) -> None:
    async def is_closed() -> bool:
        job = await setup.engine.find(job_id)
        return job is not None and job.phase is Phase.CLOSED

    await wait_until_true(is_closed, SECONDS, f"job {job_id} to be closed")


async def test_a_kept_pod_has_no_network_and_its_job_has_ended_for_all_users(tmp_path: Path) -> None:
    hosts = machine()
    async with open_engine_setup(tmp_path, hosts) as setup:
        job = await failed_job(setup)
        assert (job.status, job.kept_until is not None) == (Status.FAILURE, True)
        assert hosts.pods[job.pod_id].is_closed
        with pytest.raises(Unauthenticated, match="has ended, and its token with it"):
            setup.coordination.authenticate(setup.keys.job_token(job.id))
        log = setup.logs.path(job.id).read_text()
        assert f"--- its pod is kept for 30 min, without a network: danube shell {job.id}\n--- job failure" in log
        await setup.engine.release_pod(job.id)
        await closed(setup, job.id)
        assert job.pod_id not in hosts.pods
        with pytest.raises(Conflict, match="is not kept"):
            await setup.engine.release_pod(job.id)


async def test_its_time_ends_and_a_restarted_server_ends_it_too(tmp_path: Path) -> None:
    hosts = machine()
    async with open_engine_setup(tmp_path, hosts, keep_pods=True) as setup:
        first, second = await failed_job(setup, 1), await failed_job(setup, 2)
        await closed(setup, first.id)
        assert second.pod_id in hosts.pods
    async with open_engine_setup(tmp_path, hosts) as setup:
        await closed(setup, second.id)
        assert not hosts.pods


async def test_a_pod_that_was_lost_while_no_server_ran_is_not_offered(tmp_path: Path) -> None:
    hosts = machine()
    async with open_engine_setup(tmp_path, hosts, keep_pods=True) as setup:
        job = await failed_job(setup)
    hosts.delete_pod(job.pod_id)
    async with open_engine_setup(tmp_path, hosts) as setup:
        await closed(setup, job.id)


def keep_at_most(applied: AppliedConfiguration, count: int) -> None:
    applied.replace(State(ConfigSpec(max_kept_pods=count)), Applied())


async def test_the_oldest_makes_room_for_a_newer_one_and_a_drain_removes_all(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, machine()) as setup:
        keep_at_most(setup.applied, 1)
        first = await failed_job(setup)
        second = await failed_job(setup)
        await closed(setup, first.id)
        assert setup.engine.active_job(second.id).job.keeps_pod
        await setup.engine.draining.drain("alice")
        await closed(setup, second.id)


async def test_a_kept_pod_takes_no_slot(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path, machine()) as setup:
        setup.limit(1)
        first = await failed_job(setup)
        second = await failed_job(setup)
        assert first.pod_id != second.pod_id
        for job in (first, second):
            await setup.engine.release_pod(job.id)


async def test_a_runtime_that_cannot_close_the_network_keeps_nothing(tmp_path: Path) -> None:
    hosts = machine()
    hosts.keeps_networks_open = True
    async with open_engine_setup(tmp_path, hosts) as setup:
        job = await failed_job(setup)
        await wait_until_async(lambda: not hosts.pods, SECONDS, "the pod to be removed")
        assert (job.status, job.kept_until) == (Status.FAILURE, None)
        assert "--- its pod is not kept: " in setup.logs.path(job.id).read_text()
