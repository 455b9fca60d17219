"""The port of the job store: jobs, their steps, the effects that they owe and the follow-ups of their changes.

Every change of a job is one transaction with everything that follows from it. The docstrings give call order,
concurrency, idempotency and errors.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from danube_pkg.core.jobs.effects import Effect
from danube_pkg.core.jobs.filters import JobFilter, RunSummary
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.statistics import JobTimes
from danube_pkg.core.notifications.rules import NO_FOLLOW_UP, FollowUp
from danube_pkg.core.triggers.ports import Settlement


class JobStore(Protocol):
    """Jobs, their steps and the effects that they owe. The engine is the only writer, with one call at a time per
    job."""

    async def create_jobs(
        self, jobs: Sequence[Job], follow_up: FollowUp = NO_FOLLOW_UP, settled: Settlement | None = None
    ) -> Sequence[Job]:
        """Store new jobs, their follow-up and the inbox entry that they settle, in one transaction.

        A job with that id, or of that origin in the pipeline, that is already stored stays and is returned in the place
        of the new one.
        """
        ...

    async def load_job(self, job_id: str) -> Job | None: ...

    async def save_job(
        self, job: Job, *, done: Effect | None = None, owed: Sequence[Effect] = (), follow_up: FollowUp = NO_FOLLOW_UP
    ) -> None:
        """Store a job's new state and steps, mark the effect that led to it done, add the new effects and the
        follow-up, in one transaction."""
        ...

    async def unfinished_jobs(self) -> Sequence[Job]:
        """Jobs that have not ended, and ended jobs that still owe effects; oldest first."""
        ...

    async def owed_effects(self, job_id: str) -> Sequence[Effect]:
        """A job's effects that are not done, in the order in which they were decided."""
        ...

    async def list_jobs(self, wanted: JobFilter) -> Sequence[Job]:
        """Newest first, without steps. Every combination of filters has an index."""
        ...

    async def newest_runs(self, pipelines: Sequence[str], each: int) -> Mapping[str, Sequence[RunSummary]]:
        """The newest `each` jobs of each pipeline, newest first."""
        ...

    async def job_times(self, pipeline: str, limit: int) -> Sequence[JobTimes]:
        """The times of a pipeline's newest jobs."""
        ...

    async def approver(self, pipeline_id: str, commit_sha: str, target_branch: str) -> str:
        """The user who approved a job of that pipeline, commit and target branch; "" where there is none."""
        ...

    def version(self) -> int:
        """A number that changes whenever any stored row has changed; responses are cached by it."""
        ...
