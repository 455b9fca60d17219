"""Jumps of the clock: times of what is running are moved with it, so that durations and deadlines stay true."""

from danube_pkg.core.jobs.decision import Decision
from danube_pkg.core.jobs.events import ClockMoved
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.kit.clock_samples import ClockSample
from danube_pkg.kit.records import replace

JUMP_SECONDS = 30.0
"""A time service that corrects a clock moves it by less, or slowly."""


def jump_between(before: ClockSample, now: ClockSample) -> float:
    """By how many seconds the clock was set in between; 0.0 for none, and after a boot, which ends all pods."""
    if not now.boot_id or before.boot_id != now.boot_id:
        return 0.0
    jump = (now.at - before.at) - (now.boot_seconds - before.boot_seconds)
    return jump if abs(jump) >= JUMP_SECONDS else 0.0


def with_clock_moved(job: Job, seconds: float) -> Job:
    """A running job with its start, its deadline and those of its open steps by the new clock."""
    if job.started_at is None or job.deadline_at is None or job.status.ended:
        return job
    steps = tuple(_moved(step, seconds) if step.phase is not StepPhase.ENDED else step for step in job.steps)
    until = job.grace_until + seconds if job.grace_until is not None else None
    return replace(
        job,
        started_at=job.started_at + seconds,
        deadline_at=job.deadline_at + seconds,
        grace_until=until,
        steps=steps,
        approvals=tuple(one.moved(seconds) for one in job.approvals),
    )


def clock_moved(job: Job, event: ClockMoved, now: float) -> Decision:
    """The rule for `ClockMoved`."""
    del now
    return with_clock_moved(job, event.seconds), ()


def _moved(step: Step, seconds: float) -> Step:
    requested = step.requested_at + seconds if step.requested_at is not None else None
    started = step.started_at + seconds if step.started_at is not None else None
    next_attempt = step.next_attempt_at + seconds if step.next_attempt_at is not None else None
    return replace(step, requested_at=requested, started_at=started, next_attempt_at=next_attempt)
