"""The pod of a failed job that is kept for `danube shell`: whose is, where a shell begins, and which make room. Pure.

A job with such a pod has ended: its verdict, its statement and its log are final, its token is refused, and its pod has
no network any more. So what happens in a shell changes nothing of the job.
"""

from collections.abc import Iterable, Sequence

from danube_pkg.core.errors import Conflict, NotFound
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.core.reasons import Status
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import Record

KEPT_OUTCOMES = (Status.FAILURE, Status.TIMEOUT)
"""A cancelled job has been ended by a user, who wants its room."""


class KeptPodBounds(Record):
    """How many pods are kept at once, and their size together. Four, of the usual size: as many as there are slots on a
    small machine."""

    count: int = 4
    total_bytes: int = 20 * 1024**3


def may_keep_pod(job: Job) -> bool:
    """Whether the pod of a job whose outcome is decided is kept. Never that of untrusted code, and none whose network
    is the machine's own, which cannot be closed."""
    settings = job.settings
    return (
        settings.keep_failed_seconds > 0
        and job.outcome in KEPT_OUTCOMES
        and not job.trigger.is_untrusted
        and settings.network is not Network.HOST
        and any(_can_be_entered(step) for step in job.steps)
    )


def _can_be_entered(step: Step) -> bool:
    return step.sequence != COORDINATOR_SEQUENCE and step.container is not None


def step_of_shell(job: Job, sequence: int = 0) -> Step:
    """The step in whose container a shell begins. sequence: 0 for the one that failed the job, else the last one that
    was not a success, else the last one.

    Raises Conflict for a job whose pod is not kept, NotFound for a step that has no container.
    """
    if job.kept_until is None:
        raise not_kept(job)
    entered = [step for step in job.steps if _can_be_entered(step)]
    if sequence:
        found = [step for step in entered if step.sequence == sequence]
    else:
        failed = [step for step in entered if step.end is not None and step.end.status is not Status.SUCCESS]
        found = [step for step in failed if step.fails_job][:1] or failed[-1:] or entered[-1:]
    if not found:
        known = ", ".join(f"{step.sequence} {step.name!r}" for step in entered)
        what = f"{job.label} has no step {sequence} with a container"
        raise NotFound("step-unknown", what, hint=f"danube shell {job.id} --step NUMBER, one of: {known}")
    return found[0]


def not_kept(job: Job) -> Conflict:
    """Why there is no shell for a job, with what to do about it."""
    return Conflict("pod-not-kept", f"the pod of {job.label} is not kept", cause=_why_not(job), hint=_hint(job))


def _why_not(job: Job) -> str:
    if not job.status.ended:
        return f"the job is {job.status}: a shell is possible when it has failed"
    if job.trigger.is_untrusted:
        return "it ran the code of an untrusted proposal"
    if job.status not in KEPT_OUTCOMES:
        return f"it ended as {job.status}, and only pods of failed jobs are kept"
    if not job.settings.keep_failed_seconds:
        return "its pipeline has no keep_failed_seconds"
    if not any(map(_can_be_entered, job.steps)):
        return "none of its steps ran in a container"
    return "it was removed already, or could not be kept: the end of the job's log says so"


def _hint(job: Job) -> str:
    if not job.status.ended:
        return f"wait for its end: danube logs -f {job.id}"
    if job.trigger.is_untrusted or job.status not in KEPT_OUTCOMES:
        return f"read its log: danube logs {job.id}; danube run --keep keeps the pod of a run on your machine"
    if not job.settings.keep_failed_seconds:
        return f"write keep_failed_seconds: 30m into pipelines/{job.pipeline}.yaml, then: danube rerun {job.id}"
    if not any(map(_can_be_entered, job.steps)):
        return f"read its log: danube logs {job.id}; run it here with: danube run"
    return f"run it again: danube rerun {job.id}"


def exceeding(jobs: Iterable[Job], bounds: KeptPodBounds, *, is_room_short: bool) -> Sequence[str]:
    """The ids of jobs whose kept pods make room, the oldest first. is_room_short: the machine lacks disk or memory, for
    which all of them do."""
    kept = sorted((job for job in jobs if job.kept_until is not None), key=lambda job: (job.finished_at or 0.0, job.id))
    if is_room_short:
        return [job.id for job in kept]
    total, found = sum(map(_size_bytes, kept)), list[str]()
    for job in kept:
        if len(kept) - len(found) <= bounds.count and total <= bounds.total_bytes:
            break
        found.append(job.id)
        total -= _size_bytes(job)
    return found


def _size_bytes(job: Job) -> int:
    return job.settings.workspace_size_gb << 30
