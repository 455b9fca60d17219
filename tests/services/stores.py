"""The real store in a directory of its own, and one whose commits wait or fail on request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.store import Database, SqliteJobs, SqlitePipelines
from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.triggers.ports import Settlement
from danube_pkg.kit.records import replace
from tests.support.databases import open_new_database

NOW = 1_800_000_000.0
PIPELINE = Pipeline("p1", "hello", "team", PipelineSettings("repository"))


def a_job(job_id: str = "01job", **changes: object) -> Job:
    """A queued job of `PIPELINE`."""
    job = Job(job_id, PIPELINE.id, PIPELINE.name, Trigger("manual", "me"), PIPELINE.settings, created_at=NOW)
    return replace(job, **changes)  # type: ignore[arg-type]


async def no_token(job: Job, audience: str) -> str:
    """The identity tokens of jobs whose secrets are in no place that needs one."""
    raise AssertionError(f"a token of {job.id} for {audience}")


class UnrulyJobs(SqliteJobs):
    """`hold` makes commits wait, `hold_answers` the callers of those that create jobs; each of `failures` is raised by
    one save instead of committing."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.failures: list[Exception] = []
        self.waiting = 0
        self._open = asyncio.Event()
        self._open.set()
        self._answers = asyncio.Event()
        self._answers.set()

    def hold_answers(self) -> None:
        self._answers.clear()

    def release_answers(self) -> None:
        self._answers.set()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def _pass(self) -> None:
        self.waiting += 1
        await self._open.wait()
        self.waiting -= 1
        if self.failures:
            raise self.failures.pop(0)

    async def create_jobs(
        self, jobs: Sequence[Job], follow_up: FollowUp = NO_FOLLOW_UP, settled: Settlement | None = None
    ) -> Sequence[Job]:
        await self._pass()
        created = await super().create_jobs(jobs, follow_up, settled)
        await self._answers.wait()
        return created

    async def save_job(
        self, job: Job, *, done: Effect | None = None, owed: Sequence[Effect] = (), follow_up: FollowUp = NO_FOLLOW_UP
    ) -> None:
        await self._pass()
        await super().save_job(job, done=done, owed=owed, follow_up=follow_up)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """With `PIPELINE` in it."""
    database = open_new_database(path / "danube.db")
    try:
        await SqlitePipelines(database).apply_pipelines([PIPELINE], "revision")
        yield database
    finally:
        await database.close()
