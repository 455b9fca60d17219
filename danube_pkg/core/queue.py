"""Who starts next: pure choice over the jobs that wait and those that hold a place."""

from collections.abc import Sequence

from danube_pkg.core.jobs import Job, Phase
from danube_pkg.core.reasons import Reason

HOLDS_A_PLACE = frozenset({Phase.PREPARING, Phase.RUNNING, Phase.CONCLUDING, Phase.ENDED})
"""ENDED too: its pod is still being removed and takes room until it is gone."""


def admissible(jobs: Sequence[Job], max_concurrent_jobs: int) -> Sequence[str]:
    """Ids of the waiting jobs that may start now, oldest first."""
    free = max_concurrent_jobs - sum(job.phase in HOLDS_A_PLACE for job in jobs)
    waiting = sorted(job.id for job in jobs if job.phase is Phase.QUEUED and job.reason is not Reason.APPROVAL_REQUIRED)
    return waiting[: max(0, free)]
