"""Records in rows as JSON: rows that earlier versions wrote are read unchanged."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from danube_pkg.adapters.store import Database, SqliteJobs, SqliteOutbox, SqlitePipelines
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.notifications.outbox import JobNotification, OutboxEntry, OutboxKind
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.reasons import Status
from danube_pkg.core.runtimes.pods import Network
from tests.services.stores import PIPELINE, a_job
from tests.support.databases import open_new_database

NOTIFICATION = (
    '{"job_id": "01j", "pipeline": "app", "status": "failure", "reason": "step-failed", "message": "it \\u2014 failed", '
    '"repository": "https://g.example/a", "commit_sha": "da15", "ref": "refs/heads/main", "trigger": "webhook", '
    '"actor": "alice", "created_at": 1.0, "started_at": 2.5, "finished_at": null, '
    '"pull_request": {"number": 7, "fork": true, "title": "\\u00fc"}}'
)
SETTINGS = (
    '{"repository": "https://g.example/a", "script": "danubefile.py", "image": "python:3.12", '
    '"max_duration_seconds": 60, "workspace_size_gb": 5, "memory_mb": 0, "cpu": 2, "network": "allowlist", '
    '"egress_allowlist": ["packages.example.org"], "log_limit_mb": 200, "max_concurrent_jobs": 0, "priority": 0, '
    '"concurrency_group": null, "cancel_in_progress": false}'
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_new_database(tmp_path / "danube.db")
    yield database
    await database.close()


async def execute(database: Database, sql: str, *values: object) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(sql, values)

    await database.write(work)


async def test_a_notification_of_an_earlier_version(database: Database) -> None:
    await execute(
        database,
        "INSERT INTO outbox (kind, target, channel, notification, address, only_after_failure, created_at, next_at, key) "
        "VALUES ('email', 't', 'c', ?, '{\"to\": [\"a@example.org\"]}', 1, 1.0, 0.0, 'k')",
        NOTIFICATION,
    )
    (entry,) = await SqliteOutbox(database).due_entries(10.0, 5)
    pull_request = {"number": 7, "fork": True, "title": "ü"}
    assert entry == OutboxEntry(
        OutboxKind.EMAIL,
        "t",
        "c",
        JobNotification(
            job_id="01j",
            pipeline="app",
            status=Status.FAILURE,
            reason="step-failed",
            message="it — failed",
            repository="https://g.example/a",
            commit_sha="da15",
            ref="refs/heads/main",
            trigger="webhook",
            actor="alice",
            created_at=1.0,
            started_at=2.5,
            pull_request=pull_request,
        ),
        1.0,
        {"to": ["a@example.org"]},
        only_after_failure=True,
        id=1,
    )


async def test_a_pipelines_settings_of_an_earlier_version(database: Database) -> None:
    pipelines = SqlitePipelines(database)
    await pipelines.apply_pipelines([Pipeline("01p", "app", "", PipelineSettings("r"), ("main",))], "r1")
    await execute(database, "UPDATE pipelines SET settings = ?", SETTINGS)
    found = await pipelines.load_pipeline("app")
    assert found is not None
    assert found.settings == PipelineSettings(
        "https://g.example/a",
        image="python:3.12",
        max_duration_seconds=60,
        cpu=2.0,
        network=Network.ALLOWLIST,
        egress_allowlist=("packages.example.org",),
    )


async def test_settings_without_the_fields_that_came_later(database: Database) -> None:
    pipelines = SqlitePipelines(database)
    await pipelines.apply_pipelines([Pipeline("01p", "app", "", PipelineSettings("r"))], "r1")
    await execute(database, "UPDATE pipelines SET settings = ?", '{"repository": "r2", "network": "none"}')
    found = await pipelines.load_pipeline("app")
    assert found is not None
    assert found.settings == PipelineSettings("r2")


async def test_one_damaged_row_hides_no_other_job(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    jobs = SqliteJobs(database)
    made = [a_job(f"01job{number}") for number in range(3)]
    await SqlitePipelines(database).apply_pipelines([PIPELINE], "r1")
    await jobs.create_jobs(made)
    good, odd, broken = (job.id for job in made)
    await execute(database, "UPDATE jobs SET status = 'perhaps' WHERE id = ?", odd)
    await execute(database, "UPDATE jobs SET settings = '{' WHERE id = ?", broken)
    assert [job.id for job in await jobs.list_jobs(JobFilter())] == [good]
    assert [job.id for job in await jobs.unfinished_jobs()] == [good]
    assert await jobs.load_job(odd) is None
    named = {record.__dict__["fields"]["job"] for record in caplog.records if record.message == "record-unreadable"}
    assert named == {odd, broken}
