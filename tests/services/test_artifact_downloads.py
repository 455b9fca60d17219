"""Artifacts of other jobs: verified against their provenance, recorded in that of the job that gets them."""

import asyncio
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.artifact_downloads import DownloadRequest
from danube_pkg.core.errors import Conflict, Forbidden, NotFound, Permanent, PlatformError
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from danube_pkg.services.artifact_downloads import Download
from danube_pkg.services.jobs.requests import approve
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Process
from tests.services.jobs.test_coordination import running_job
from tests.services.provenance.test_statements import CONTENT, statement_about, upload
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.parts import COORDINATOR

SHA = "c" * 40
FORK = Trigger("webhook", "eve", Revision(branch="main", commit_sha=SHA), pull_request={"number": 1, "trusted": False})


async def started(setup: EngineSetup, trigger: Trigger) -> str:
    """A job that runs; untrusted code after an approval."""
    job = await setup.engine.submit(PIPELINE, trigger)
    if trigger.is_untrusted:
        await approve(setup.engine, job, SHA, "alice")
    await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
    return job.id


class Jobs:
    """A machine whose coordinators leave as soon as their job has finished, as the real one does."""

    def __init__(self) -> None:
        self.machine = FakeMachine()
        self.machine.commands[COORDINATOR] = self._coordinator
        self._finished: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def _coordinator(self, process: Process) -> int:
        await self._finished[process.container.job_id].wait()
        return 0

    async def ended(self, setup: EngineSetup, job_id: str) -> Job:
        await setup.coordination.finish(job_id, None)
        self._finished[job_id].set()
        async with setup.engine.watch(job_id) as states:
            async for job in states:
                last = job
        return last


async def built(jobs: Jobs, setup: EngineSetup, trigger: Trigger | None = None, name: str = "app") -> str:
    """A job that has ended with an artifact."""
    job_id = await started(setup, trigger or Trigger("manual", "me"))
    await upload(setup, job_id, 1, name)
    await jobs.ended(setup, job_id)
    return job_id


async def content(download: Download) -> bytes:
    return b"".join([part async for part in download.chunks()])


async def test_a_download_is_verified_logged_and_a_dependency_of_the_job(tmp_path: Path) -> None:
    jobs = Jobs()
    async with open_engine_setup(tmp_path, jobs.machine) as setup:
        await built(jobs, setup)
        newest = await built(jobs, setup)
        job_id = await running_job(setup)
        by_name = await setup.coordination.download_artifact(job_id, DownloadRequest(1, "app", pipeline="hello"))
        later = await built(jobs, setup)
        again = await setup.coordination.download_artifact(job_id, DownloadRequest(1, "app", pipeline="hello"))
        assert (by_name.use.source_job, again.use.source_job) == (newest, newest), "a repeated call gets the same"
        assert await content(by_name) == CONTENT
        by_id = await setup.coordination.download_artifact(job_id, DownloadRequest(2, "app", job=later))
        assert await content(by_id) == CONTENT
        statement = await statement_about(setup, await jobs.ended(setup, job_id))
        found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert [one["uri"] for one in found if one["name"] == "artifact"] == [
            f"urn:danube:job:{newest}",
            f"urn:danube:job:{later}",
        ]
        artifact = next(one for one in found if one["name"] == "artifact")
        assert artifact["digest"] == {"sha256": by_name.artifact.sha256}
        assert artifact["annotations"] == {"file": "app", "pipeline": "hello", "ref": "", "trusted": True}
        assert f"--- artifact app of job {newest} of hello" in setup.logs.path(job_id).read_text()


async def refusal(setup: EngineSetup, job_id: str, request: DownloadRequest) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        await setup.coordination.download_artifact(job_id, request)
    assert raised.value.hint
    return raised.value


async def test_what_a_job_may_not_have_is_refused_with_a_hint(tmp_path: Path) -> None:
    jobs = Jobs()
    async with open_engine_setup(tmp_path, jobs.machine) as setup:
        good, fork = await built(jobs, setup), await built(jobs, setup, FORK, "fork")
        job_id = await running_job(setup)
        assert isinstance(await refusal(setup, job_id, DownloadRequest(1, "app", job="01none")), NotFound)
        assert isinstance(await refusal(setup, job_id, DownloadRequest(1, "other", job=good)), NotFound)
        assert isinstance(await refusal(setup, job_id, DownloadRequest(1, "app", pipeline="nope")), NotFound)
        assert isinstance(await refusal(setup, job_id, DownloadRequest(1, "app", job=job_id)), NotFound)
        assert isinstance(await refusal(setup, job_id, DownloadRequest(1, "fork", job=fork)), Forbidden)
        assert isinstance(await refusal(setup, job_id, DownloadRequest(1, "fork", pipeline="hello")), NotFound)
        allowed = DownloadRequest(1, "fork", job=fork, allow_untrusted=True)
        assert not (await setup.coordination.download_artifact(job_id, allowed)).use.trusted
        await upload(setup, job_id, 1, "own")
        assert isinstance(await refusal(setup, job_id, DownloadRequest(2, "own", job=job_id)), Conflict)


async def test_untrusted_code_gets_nothing_of_trusted_jobs(tmp_path: Path) -> None:
    jobs = Jobs()
    async with open_engine_setup(tmp_path, jobs.machine) as setup:
        good = await built(jobs, setup)
        job_id = await started(setup, FORK)
        refused = await refusal(setup, job_id, DownloadRequest(1, "app", job=good, allow_untrusted=True))
        assert refused.reference == "artifact-of-others"


async def test_a_record_that_differs_from_the_signed_statement_is_refused(tmp_path: Path) -> None:
    jobs = Jobs()
    async with open_engine_setup(tmp_path, jobs.machine) as setup:
        source = await built(jobs, setup)

        def change(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE artifacts SET sha256 = ?", ("0" * 64,))

        await setup.database.write(change)
        job_id = await running_job(setup)
        refused = await refusal(setup, job_id, DownloadRequest(1, "app", job=source))
        assert (type(refused), refused.reference) == (Permanent, "artifact-not-stated")


async def test_a_search_asks_the_database_as_often_for_many_jobs_as_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, asked = Jobs(), list[str]()
    async with open_engine_setup(tmp_path, jobs.machine) as setup:
        oldest = await built(jobs, setup)
        job_id = await running_job(setup)
        read = Database.read

        def counted(database: Database, sql: str, *values: Any) -> Any:
            asked.append(sql)
            return read(database, sql, *values)

        monkeypatch.setattr(Database, "read", counted)
        counts = []
        for sequence in (1, 2):
            asked.clear()
            request = DownloadRequest(sequence, "app", pipeline="hello")
            found = await setup.coordination.download_artifact(job_id, request)
            counts.append(len(asked))
            assert found.use.source_job == oldest
            for _ in range(2):
                await built(jobs, setup, name="other")
    assert counts[0] == counts[1], asked


async def test_a_job_that_cleans_up_downloads_nothing(tmp_path: Path) -> None:
    jobs = Jobs()
    async with open_engine_setup(tmp_path, jobs.machine) as setup:
        source = await built(jobs, setup)
        settings = replace(PIPELINE.settings, grace_seconds=600)
        job = await setup.engine.submit(replace(PIPELINE, settings=settings), Trigger("manual", "me"))
        await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        await setup.engine.cancel(job.id, "me")
        assert (await refusal(setup, job.id, DownloadRequest(1, "app", job=source))).reference == "job-ending"
