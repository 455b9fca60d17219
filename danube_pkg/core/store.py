"""The protocols through which services reach the outside world. Adapters implement them; `bootstrap/root.py` joins the two.

Each docstring states call order, concurrency, idempotency and errors; the contract suites in `tests/contract` hold every
implementation, the fakes included, to it.
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
    """Jobs, their steps and the effects they owe. One writer: the engine, which calls for one job one at a time."""

    async def create_jobs(
        self, jobs: Sequence[Job], told: FollowUp = NO_FOLLOW_UP, settled: Settlement | None = None
    ) -> Sequence[Job]:
        """New jobs, what is told of them, and the entry of the inbox that they settle: one transaction.

        Where there is a job of that id, or the pipeline has one of that origin, it stays and is the answer in the new one's place.
        """
        ...

    async def load_job(self, job_id: str) -> Job | None: ...

    async def save_job(
        self, job: Job, *, done: Effect | None = None, owed: Sequence[Effect] = (), told: FollowUp = NO_FOLLOW_UP
    ) -> None:
        """The new state with its steps, the effect that led to it marked done, the new effects, and what is told of it: one
        transaction."""
        ...

    async def unfinished_jobs(self) -> Sequence[Job]:
        """Jobs that have not ended or that still owe effects, oldest first."""
        ...

    async def owed_effects(self, job_id: str) -> Sequence[Effect]:
        """Effects not done yet, in the order in which they were decided."""
        ...

    async def list_jobs(self, wanted: JobFilter) -> Sequence[Job]:
        """Newest first, without their steps; each filter combination is answered from an index."""
        ...

    async def newest_runs(self, pipelines: Sequence[str], each: int) -> Mapping[str, Sequence[RunSummary]]:
        """The newest few of each pipeline, newest first."""
        ...

    async def job_times(self, pipeline: str, limit: int) -> Sequence[JobTimes]:
        """Of a pipeline's newest jobs."""
        ...

    def version(self) -> int:
        """Another number whenever anything that is stored has changed: what an answer may be kept for."""
        ...
