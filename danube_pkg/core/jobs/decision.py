"""What every rule of a job's life returns: the next state with the effects that it owes."""

from danube_pkg.core.errors import Defect
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.events import JobEvent
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.steps import Step
from danube_pkg.kit.records import replace

Decision = tuple[Job, tuple[Effect, ...]]


class IllegalEvent(Defect):
    """An event that cannot happen in this phase: a bug in Danube, never the user's mistake."""

    def __init__(self, job: Job, event: JobEvent) -> None:
        super().__init__("illegal-event", f"{job.label} in phase {job.phase} cannot take {event!r}")


def unchanged(job: Job, event: JobEvent, now: float) -> Decision:
    """The rule of an event that is ignored."""
    return job, ()


def owing(job: Job, *kinds: EffectKind) -> Decision:
    """The job, with new effects of its present generation, in this order."""
    effects = tuple(
        Effect(job.id, job.effect_count + index, job.generation, kind) for index, kind in enumerate(kinds, start=1)
    )
    return replace(job, effect_count=job.effect_count + len(effects)), effects


def with_step(job: Job, step: Step) -> Job:
    """The job with this step added, or in the place of the one with the same sequence."""
    others = [other for other in job.steps if other.sequence != step.sequence]
    return replace(job, steps=tuple(sorted([*others, step], key=lambda item: item.sequence)))
