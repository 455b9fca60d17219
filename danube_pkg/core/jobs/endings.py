"""What a job that has concluded, or is about to, may not do any more."""

from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs.job import Job, Phase


def refuse_when_over(job: Job, what: str) -> None:
    """Raises Conflict for a job that has concluded; one that cleans up may still report."""
    if job.phase is not Phase.RUNNING:
        raise Conflict("job-ending", f"{what}: {job.label} is ending", hint="danube rerun JOB")


def refuse_when_ending(job: Job, what: str) -> None:
    """Nothing secret is given to a job whose outcome is decided, also while it cleans up. Raises Conflict."""
    if job.phase is not Phase.RUNNING or job.is_ending:
        hint = "read what the clean-up needs before it is needed; or: danube rerun JOB"
        raise Conflict("job-ending", f"{what}: {job.label} is ending", hint=hint)
