"""Snapshots that jobs keep: of steps that nothing else can have influenced, whole, and without secrets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from danube_pkg.core.caches.cache import CacheRequest
from danube_pkg.core.errors import Invalid
from danube_pkg.core.reasons import Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import rebuild
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Process
from tests.services.jobs.snapshots import IMAGE, NPM, SnapshotSetup, open_snapshots
from tests.services.jobs.test_coordination import asked
from tests.services.jobs.test_job_caches import MAIN
from tests.services.provenance.test_statements import ended
from tests.support.engine import open_engine_setup
from tests.support.waiting import wait_until_async


@pytest_asyncio.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[SnapshotSetup]:
    async with open_snapshots(tmp_path) as made:
        yield made


async def test_a_step_that_runs_after_a_secret_is_kept_for_no_job(snapshots: SnapshotSetup) -> None:
    await snapshots.setup.secrets.set(SecretName(None, "TOKEN"), b"a-secret-value", "me")
    job = await snapshots.start(MAIN)
    await snapshots.setup.coordination.read_secret(job.id, 1, "TOKEN")
    await snapshots.run(job)
    await ended(snapshots.setup, job.id)
    assert "not kept: the job has read a secret" in snapshots.log(job)
    assert snapshots.contents() == []
    assert (await snapshots.whole())[0] == ""


async def test_a_secret_that_is_read_meanwhile_counts(snapshots: SnapshotSetup) -> None:
    await snapshots.setup.secrets.set(SecretName(None, "TOKEN"), b"a-secret-value", "me")
    job, snapshots.held = await snapshots.start(MAIN), asyncio.Event()
    running = asyncio.create_task(snapshots.run(job), name="step")
    await wait_until_async(lambda: bool(snapshots.contents()), 10, "a snapshot that is being received")
    await snapshots.setup.coordination.read_secret(job.id, 1, "TOKEN")
    snapshots.held.set()
    assert (await running).end.status is Status.SUCCESS
    assert snapshots.contents() == []


async def test_a_step_without_a_snapshot_ends_the_chain_of_its_container(snapshots: SnapshotSetup) -> None:
    job = await snapshots.start(MAIN)
    await snapshots.run(job, replace(asked("make"), image=IMAGE))
    await snapshots.run(job, replace(NPM, sequence=2))
    assert "step 1 'step' ran in its container before it without a snapshot" in snapshots.log(job)
    other = replace(NPM, sequence=3, image="python:3.12")
    await snapshots.run(job, other)  # another container
    await ended(snapshots.setup, job.id)
    assert len(snapshots.contents()) == 1


async def test_a_snapshot_depends_on_those_before_it(snapshots: SnapshotSetup) -> None:
    async def both(lock: str) -> list[str]:
        job = await snapshots.start(MAIN)
        first = await snapshots.run(job, replace(NPM, snapshot=lock, environment={"LOCK": lock}))
        second = await snapshots.run(job, replace(NPM, sequence=2, command="make", snapshot="sources"))
        await ended(snapshots.setup, job.id)
        return [first.restored_from, second.restored_from]

    assert await both("a") == ["", ""]
    assert "" not in await both("a")
    assert await both("b") == ["", ""]  # the sources are the same, the container is not
    assert "" not in await both("b")
    assert "" not in await both("a")


async def test_steps_beside_each_other_are_neither_kept_nor_restored(snapshots: SnapshotSetup) -> None:
    await snapshots.whole()
    blocked = asyncio.Event()

    async def service(process: Process) -> int:
        await blocked.wait()
        return 0

    snapshots.machine.commands["serve"] = service
    job = await snapshots.start(MAIN)
    beside = asyncio.create_task(snapshots.run(job, asked("serve", 2, name="db")), name="service")
    await snapshots.setup.engine.active_job(job.id).wait_until(lambda one: one.step(2) is not None)
    assert (await snapshots.run(job)).restored_from == ""
    assert "step 2 'db' runs at the same time" in snapshots.log(job)
    blocked.set()
    await beside


async def test_a_step_that_began_and_ended_meanwhile_counts(snapshots: SnapshotSetup) -> None:
    job = await snapshots.start(MAIN)

    async def command(process: Process) -> int:
        await snapshots.run(job, asked("make", 2))
        return 0

    snapshots.machine.commands["npm ci"] = command
    await snapshots.run(job)
    assert "not kept: something else ran at the same time" in snapshots.log(job)


async def test_caches_that_a_job_restored_are_a_part_of_the_key(snapshots: SnapshotSetup) -> None:
    async def with_cache(content: bytes) -> str:
        job = await snapshots.start(MAIN)
        request = CacheRequest(1, "npm", content.decode(), ("deps",), image=IMAGE)
        await snapshots.setup.coordination.restore_cache(job.id, request)
        outcome = await snapshots.run(job)
        await snapshots.setup.coordination.save_cache(job.id, request)
        await ended(snapshots.setup, job.id)
        return outcome.restored_from

    async def pack(process: Process) -> int:
        await process.write(b"cached")
        return 0

    async def unpack(process: Process) -> int:
        while await process.read():
            pass
        return 0

    snapshots.machine.commands["danube-step pack /workspace/deps"] = pack
    snapshots.machine.commands["danube-step unpack /workspace/deps"] = unpack
    assert await with_cache(b"a") == ""
    assert await with_cache(b"a") == ""  # with a restored cache it is another step
    assert await with_cache(b"a") != ""
    assert await with_cache(b"b") != ""  # nothing was restored for b, as in the first job


async def test_the_machines_own_programs_have_no_snapshot(snapshots: SnapshotSetup) -> None:
    request = replace(NPM, image="host")
    await snapshots.whole(request=request)
    restored, job = await snapshots.whole(request=request)
    assert restored == ""
    assert "the image 'host' has no digest" in snapshots.log(job)


async def test_a_rebuild_runs_every_step(snapshots: SnapshotSetup) -> None:
    revision = Revision("c0ffee" + "0" * 34, "refs/heads/main", "main")
    _, first = await snapshots.whole(revision)
    again = await snapshots.running(await rebuild(snapshots.setup.engine, snapshots.setup.secrets, first, "alice"))
    assert (await snapshots.run(again)).restored_from == ""
    assert "a rebuild runs every step" in snapshots.log(again)


async def test_a_failed_step_and_a_failed_capture_keep_nothing(snapshots: SnapshotSetup) -> None:
    await snapshots.whole(request=replace(NPM, command="false", check=False))
    assert snapshots.contents() == []
    snapshots.capture_failure = b"\ndanube-step: capture: /workspace/a: may only add files\n"
    _, job = await snapshots.whole()
    assert job.status is Status.SUCCESS
    assert snapshots.contents() == []
    assert "not kept: what the step has changed cannot be kept: /workspace/a: may only add files" in snapshots.log(job)
    assert job.steps[1].snapshot == ""


async def test_a_further_attempt_is_not_kept(snapshots: SnapshotSetup) -> None:
    codes = [3, 0]

    async def command(process: Process) -> int:
        return codes.pop(0)

    snapshots.machine.commands["npm ci"] = command
    _, job = await snapshots.whole(request=replace(NPM, retries=1))
    assert (job.status, snapshots.contents()) == (Status.SUCCESS, [])


async def test_of_parallel_jobs_one_keeps_its_snapshot(snapshots: SnapshotSetup) -> None:
    jobs = [await snapshots.start(MAIN) for _ in range(4)]
    outcomes = await asyncio.gather(*(snapshots.run(job) for job in jobs))
    assert [one.restored_from for one in outcomes] == [""] * 4
    assert len(snapshots.contents()) == 1
    for job in jobs:
        await ended(snapshots.setup, job.id)
    assert (await snapshots.whole())[0] in [job.id for job in jobs]


async def test_a_job_that_ends_meanwhile_leaves_nothing(snapshots: SnapshotSetup) -> None:
    job, snapshots.held = await snapshots.start(MAIN), asyncio.Event()
    running = asyncio.create_task(snapshots.run(job), name="step")
    await wait_until_async(lambda: bool(snapshots.contents()), 10, "a snapshot that is being received")
    await snapshots.setup.engine.cancel(job.id, "me")
    await running
    assert snapshots.contents() == []


async def test_a_killed_server_keeps_nothing_and_loses_no_step(tmp_path: Path) -> None:
    machine, blocked = FakeMachine(), asyncio.Event()
    machine.images.add(IMAGE)

    async def command(process: Process) -> int:
        await blocked.wait()
        return 0

    machine.commands["npm ci"] = command
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        snapshots = SnapshotSetup(setup, machine, tmp_path)
        machine.commands["danube-step capture"] = snapshots.capture
        job = await snapshots.start(MAIN)
        running = asyncio.create_task(snapshots.run(job), name="step")
        await setup.engine.active_job(job.id).wait_until(
            lambda one: (step := one.step(1)) is not None and step.status is Status.RUNNING
        )
        running.cancel()
    async with open_engine_setup(tmp_path, machine) as setup:
        blocked.set()
        outcome = await setup.coordination.run_step(job.id, NPM)
        assert outcome.end.status is Status.SUCCESS
        assert not [one for one in (tmp_path / "caches").rglob("*") if one.is_file()]


@pytest.mark.parametrize(
    "changes", [{"snapshot": "a\nb"}, {"snapshot": "x" * 513}, {"cleanup": True}, {"isolation": 1}]
)
async def test_what_can_have_no_snapshot_is_refused(snapshots: SnapshotSetup, changes: Mapping[str, Any]) -> None:
    job = await snapshots.start(MAIN)
    with pytest.raises(Invalid):
        await snapshots.run(job, replace(NPM, **changes))
