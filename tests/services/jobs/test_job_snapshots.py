"""Snapshots that jobs restore, with attempts to make one restore what it must not: never a wrong hit."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from danube_pkg.core.jobs.steps import StepStatus
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.records import replace
from tests.fakes.runtime import fake_digest
from tests.services.jobs.snapshots import IMAGE, NPM, SnapshotSetup, open_snapshots
from tests.services.jobs.test_coordination import asked
from tests.services.jobs.test_job_caches import FORK_5, FORK_6, MAIN, OTHER, TAG, TOPIC
from tests.services.provenance.test_statements import ended, statement_about
from tests.services.stores import PIPELINE


@pytest_asyncio.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[SnapshotSetup]:
    async with open_snapshots(tmp_path) as made:
        yield made


async def test_a_later_job_is_given_what_the_step_has_left(snapshots: SnapshotSetup) -> None:
    _, first = await snapshots.whole()
    job = await snapshots.start(MAIN)
    outcome = await snapshots.run(job)
    assert outcome.restored_from == first.id
    assert (outcome.end.status, outcome.output) == (Status.SUCCESS, b"output of npm ci\n")
    assert outcome == await snapshots.run(job)  # the same call after a lost connection
    assert snapshots.files[job.pod_id] == b"[npm ci]"
    job = await ended(snapshots.setup, job.id)
    step = job.steps[1]
    assert snapshots.runs == ["npm ci"]
    assert job.status is Status.SUCCESS
    assert (step.shown_status, step.restored_from, step.image_digest) == (
        StepStatus.RESTORED,
        first.id,
        fake_digest(IMAGE),
    )
    log = snapshots.log(job)
    assert f"--- snapshot of step 1: restored from job {first.id}: " in log
    assert "output of npm ci\n" in log
    assert f'--- step 1 restored "step": was restored from job {first.id}' in log
    assert "--- snapshot of step 1: kept " in snapshots.log(first)


async def test_provenance_says_what_was_restored(snapshots: SnapshotSetup) -> None:
    _, first = await snapshots.whole()
    _, second = await snapshots.whole()
    of_first, of_second = [await statement_about(snapshots.setup, job) for job in (first, second)]

    def record(statement: Mapping[str, Any]) -> Mapping[str, Any]:
        (records,) = [one for one in statement["predicate"]["runDetails"]["byproducts"] if one["name"] == "records"]
        return next(one for one in records["annotations"]["records"] if one.get("sequence") == 1)

    kept, restored = record(of_first), record(of_second)
    assert (kept["authentic"], kept["snapshot"]) == (True, restored["snapshot"])
    assert (restored["status"], restored["authentic"], restored["restoredFrom"]) == ("success", False, first.id)
    (dependency,) = [
        one for one in of_second["predicate"]["buildDefinition"]["resolvedDependencies"] if one["name"] == "snapshot"
    ]
    assert dependency["uri"] == f"urn:danube:job:{first.id}"
    assert dependency["digest"] == {"sha256": restored["snapshot"]}
    assert dependency["annotations"] == {"step": 1, "key": "lock-1", "ref": "refs/heads/main"}


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot": "lock-2"},
        {"command": "npm ci --dev"},
        {"environment": {"NODE_ENV": "production"}},
        {"shell": "bash -eu"},
        {"working_directory": "/workspace/web"},
        {"image": "python:3.12"},
    ],
)
async def test_a_step_that_differs_runs(snapshots: SnapshotSetup, changes: Mapping[str, Any]) -> None:
    await snapshots.whole()
    assert (await snapshots.whole(request=replace(NPM, **changes)))[0] == ""
    assert len(snapshots.runs) == 2


@pytest.mark.parametrize(
    "settings",
    [{"environment": {"NODE_ENV": "production"}}, {"repository": "elsewhere"}, {"run_as_root": True}, {"cache": False}],
)
async def test_a_pipeline_that_differs_runs_the_step(snapshots: SnapshotSetup, settings: Mapping[str, Any]) -> None:
    await snapshots.whole()
    assert (await snapshots.whole(**settings))[0] == ""


async def test_variables_that_differ_from_job_to_job_are_not_set(snapshots: SnapshotSetup) -> None:
    await snapshots.whole(environment={"OWN": "1"}, request=replace(NPM, environment={"MINE": "2"}))
    await snapshots.whole(request=asked("make"))
    with_snapshot, without = snapshots.environments
    assert (with_snapshot["OWN"], with_snapshot["MINE"], with_snapshot["DANUBE_PIPELINE"]) == ("1", "2", PIPELINE.name)
    assert {"DANUBE_JOB_ID", "DANUBE_COMMIT", "DANUBE_BRANCH", "GIT_COMMIT", "CI_BUILD_NUMBER"} <= without.keys()
    assert not {"DANUBE_JOB_ID", "DANUBE_COMMIT", "DANUBE_BRANCH", "GIT_COMMIT"} & with_snapshot.keys()


async def test_the_default_branch_and_tags_read_their_own_alone(snapshots: SnapshotSetup) -> None:
    own: dict[str, str] = {}
    for revision, request in [(TOPIC, None), (TAG, None), (MAIN, FORK_5), (TOPIC, FORK_6)]:
        own[revision.ref + str(request)] = (await snapshots.whole(revision, request))[1].id
    restored, main = await snapshots.whole(MAIN)
    assert restored == ""
    assert (await snapshots.whole(MAIN))[0] == main.id
    assert (await snapshots.whole(OTHER))[0] == main.id
    assert (await snapshots.whole(TOPIC))[0] == own[TOPIC.ref + "None"]
    assert (await snapshots.whole(TAG))[0] == own[TAG.ref + "None"]
    assert (await snapshots.whole(MAIN, FORK_5))[0] == own[MAIN.ref + str(FORK_5)]
    assert (await snapshots.whole(MAIN, {"number": 5, "trusted": True}))[0] == main.id


async def test_a_job_that_is_not_signed_yet_is_not_believed(snapshots: SnapshotSetup) -> None:
    first, second = await snapshots.start(MAIN), await snapshots.start(MAIN)
    await snapshots.run(first)
    assert (await snapshots.run(second)).restored_from == ""
    assert f"not restored: job {first.id}, which ran the step, is not signed" in snapshots.log(second)
    await ended(snapshots.setup, first.id)
    assert (await snapshots.whole())[0] == first.id


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE caches SET step = 2",
        "UPDATE caches SET trusted = 0, ref = 'pull/5'",
        "DELETE FROM jobs WHERE id = (SELECT job_id FROM caches)",
        "DELETE FROM provenance",
    ],
)
async def test_what_no_signed_record_states_is_not_restored(snapshots: SnapshotSetup, tampering: str) -> None:
    await snapshots.whole()
    await snapshots.setup.database.write(lambda connection: connection.execute(tampering) and None)
    request = FORK_5 if "pull/5" in tampering else None
    assert (await snapshots.whole(MAIN, request))[0] == ""
    assert snapshots.runs == ["npm ci"] * 2


async def test_another_snapshot_in_its_place_is_not_restored(snapshots: SnapshotSetup) -> None:
    """The bytes are those of another step of the same job, whole and with their right digest."""
    job = await snapshots.start(MAIN)
    await snapshots.run(job)
    await snapshots.run(job, replace(NPM, sequence=2, command="make", snapshot="other"))
    await ended(snapshots.setup, job.id)
    sql = "UPDATE caches SET sha256 = (SELECT sha256 FROM caches WHERE step = 2) WHERE step = 1"
    await snapshots.setup.database.write(lambda connection: connection.execute(sql) and None)
    restored, second = await snapshots.whole()
    assert restored == ""
    assert "do not state this snapshot" in snapshots.log(second)


async def test_damaged_bytes_are_not_restored_and_removed(snapshots: SnapshotSetup) -> None:
    await snapshots.whole()
    (file,) = snapshots.contents()
    file.write_bytes(file.read_bytes().replace(b"npm", b"evi"))
    restored, second = await snapshots.whole()
    assert restored == ""
    assert "not restored, and nothing is changed: the stored cache cannot be used" in snapshots.log(second)
    assert (await snapshots.whole())[0] == second.id


async def test_a_workspace_where_it_does_not_fit_is_left_and_the_step_runs(snapshots: SnapshotSetup) -> None:
    await snapshots.whole()
    snapshots.apply_codes = [1]
    restored, second = await snapshots.whole()
    assert restored == ""
    assert second.status is Status.SUCCESS
    statement = await statement_about(snapshots.setup, second)
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert "snapshot" not in [one["name"] for one in dependencies]


@pytest.mark.parametrize("codes", [[3], [137]])
async def test_a_command_does_not_run_on_the_half_of_a_snapshot(snapshots: SnapshotSetup, codes: list[int]) -> None:
    await snapshots.whole()
    snapshots.apply_codes = codes
    _, job = await snapshots.whole()
    assert snapshots.runs == ["npm ci"]
    assert (job.status, job.reason) == (Status.FAILURE, Reason.INFRASTRUCTURE_LOST)


async def test_a_restore_that_was_interrupted_is_completed_or_ends_the_step(snapshots: SnapshotSetup) -> None:
    """The use is recorded, and the server was killed before the step's end."""
    _, first = await snapshots.whole()
    await snapshots.whole()
    job = await snapshots.start(MAIN)
    sql = "INSERT INTO cache_uses SELECT ?, sequence, name, key, ?, size_bytes, source_job, ref, exact, after_secret, at, step FROM cache_uses LIMIT 1"
    known = snapshots.setup.database.read("SELECT sha256 FROM caches")[0]["sha256"]
    await snapshots.setup.database.write(lambda connection: connection.execute(sql, (job.id, known)) and None)
    assert (await snapshots.run(job)).restored_from == first.id
    lost = await snapshots.start(MAIN)
    await snapshots.setup.database.write(lambda connection: connection.execute(sql, (lost.id, "0" * 64)) and None)
    assert (await snapshots.run(lost)).end.reason is Reason.INFRASTRUCTURE_LOST
    assert snapshots.runs == ["npm ci"]
