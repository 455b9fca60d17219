"""`danube rerun JOB --failed-steps`: what was green is restored or runs again, and it is said which."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs.explanation import explain
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.steps import StepStatus
from danube_pkg.core.reasons import Status
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import rerun
from tests.services.jobs.snapshots import IMAGE, NPM, SnapshotSetup, open_snapshots
from tests.services.jobs.test_coordination import asked
from tests.services.jobs.test_job_caches import MAIN
from tests.services.provenance.test_statements import ended

INSTALL = replace(NPM, name="install")
LINT = replace(asked("make", 2, name="lint"), image=IMAGE)
TEST = replace(asked("false", 3, name="test"), image=IMAGE)


@pytest_asyncio.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[SnapshotSetup]:
    async with open_snapshots(tmp_path) as made:
        yield made


async def pipeline(snapshots: SnapshotSetup, job: Job) -> Job:
    """The whole danubefile."""
    for request in (INSTALL, LINT, TEST):
        await snapshots.run(job, request)
    return await ended(snapshots.setup, job.id)


async def test_each_step_is_restored_or_runs_again_and_it_is_said_which(snapshots: SnapshotSetup) -> None:
    failed = await pipeline(snapshots, await snapshots.start(MAIN))
    assert failed.status is Status.FAILURE
    again = await snapshots.running(await rerun(snapshots.setup.engine, failed, "alice", failed_steps=True))
    again = await pipeline(snapshots, again)
    assert [(one.shown_status, one.before) for one in again.steps[1:]] == [
        (StepStatus.RESTORED, "success"),
        (StepStatus.SUCCESS, "success"),
        (StepStatus.FAILURE, "failure"),
    ]
    assert snapshots.runs == ["npm ci", "make", "false", "make", "false"]
    log = snapshots.log(again)
    assert f'--- step 2 "lint" was green in job {failed.id} and runs again: it has no snapshot' in log
    assert 'step 1 "install" was green' not in log
    lines = explain(again, None, "").lines
    assert f"It repeats the failed steps of job {failed.id}." in lines
    assert f"Step 1 'install' was restored from job {failed.id}, whose signed records have its success." in lines
    assert "Step 2 'lint' was green before and ran again." in lines
    assert "Step 3 'test' ran again: it was failure before." in lines


async def test_a_step_whose_snapshot_cannot_be_restored_says_so(snapshots: SnapshotSetup) -> None:
    failed = await pipeline(snapshots, await snapshots.start(MAIN))
    again = await snapshots.running(await rerun(snapshots.setup.engine, failed, "alice", failed_steps=True))
    snapshots.apply_codes = [1]
    again = await pipeline(snapshots, again)
    assert (again.steps[1].shown_status, again.steps[1].before) == (StepStatus.SUCCESS, "success")
    why = "was green in job" + f" {failed.id} and runs again: its snapshot could not be restored"
    assert why in snapshots.log(again)


async def test_a_job_without_a_failed_step_is_refused(snapshots: SnapshotSetup) -> None:
    _, green = await snapshots.whole()
    with pytest.raises(Conflict, match="has no failed step") as refusal:
        await rerun(snapshots.setup.engine, green, "alice", failed_steps=True)
    assert refusal.value.hint == f"run all of it again: danube rerun {green.id}"


async def test_an_ordinary_rerun_says_nothing_of_the_other_job(snapshots: SnapshotSetup) -> None:
    failed = await pipeline(snapshots, await snapshots.start(MAIN))
    first = await rerun(snapshots.setup.engine, failed, "alice", failed_steps=True)
    again = await snapshots.running(await rerun(snapshots.setup.engine, first, "alice"))
    again = await pipeline(snapshots, again)
    assert not again.trigger.failed_steps
    assert [one.before for one in again.steps[1:]] == ["", "", ""]
    assert again.steps[1].restored_from == failed.id  # as in any job
