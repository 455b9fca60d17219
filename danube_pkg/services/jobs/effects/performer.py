"""Performs the effects of a job, one after the other; the result of each goes back to the job as an event.

An effect that a newer generation made stale is cancelled if it is being performed, and skipped if it is not. A failure
is retried with growing pauses; the job's deadline, or a cancel, ends that by making the effect stale.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial

from danube_pkg.core.errors import Retryable, Unavailable
from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.events import JobEvent
from danube_pkg.core.jobs.job import Job
from danube_pkg.kit.loops import Bugs, Pauses, Streak, Timing, until_done
from danube_pkg.kit.records import Mutable
from danube_pkg.kit.tasks import until
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.effects.handler import EffectHandler

PAUSES = Pauses(0.1, 30.0)

STUCK_SECONDS = 900.0
"""An effect takes seconds; removing the files of a great workspace takes minutes. Effects may be repeated, so that an
effect which is restarted too early costs time and nothing else."""

_log = logging.getLogger("danube.effects")


class _Try(Mutable):
    """One call of a handler, which has not returned. began_at: seconds of the monotonic clock."""

    effect: Effect
    began_at: float
    restart: asyncio.Event


class EffectPerformer:
    """Performs effects of all jobs; it holds no state that outlasts a call of a handler. Raises ValueError unless each
    kind has one handler."""

    def __init__(self, handlers: Iterable[EffectHandler], timing: Timing) -> None:
        self._handlers: dict[EffectKind, EffectHandler] = {}
        for handler in handlers:
            if handler.kind in self._handlers:
                raise ValueError(f"two handlers for the effect {handler.kind}")
            self._handlers[handler.kind] = handler
        if missing := set(EffectKind) - self._handlers.keys():
            raise ValueError(f"no handler for {', '.join(sorted(missing))}")
        self._timing = timing
        self._tries: dict[str, _Try] = {}
        """By the id of the job, whose effects are performed one after the other."""

    def stuck(self) -> Sequence[Effect]:
        """Effects whose handler has not returned for STUCK_SECONDS."""
        before = self._timing.clock.monotonic() - STUCK_SECONDS
        return [one.effect for one in self._tries.values() if one.began_at <= before]

    def resume_stuck(self) -> int:
        """Cancel those calls and make them again. Returns how many."""
        stuck = self.stuck()
        for effect in stuck:
            self._tries[effect.job_id].restart.set()
        return len(stuck)

    async def run(self, active: ActiveJob) -> None:
        """The job's own loop, until it is cancelled."""
        while True:
            effect = await active.wait_for_effect()
            event = await self._perform_unless_stale(active, effect)
            record = partial(active.apply, event, done=effect)
            await until_done(record, self._streak("effect-record", effect), self._timing, expected=(Retryable,))

    async def _perform_unless_stale(self, active: ActiveJob, effect: Effect) -> JobEvent | None:
        """The event that follows, or None where the effect is stale."""

        def is_stale(job: Job) -> bool:
            return job.generation != effect.generation

        if is_stale(active.job):
            return None
        name = f"{effect.kind} {active.job.id}"
        return await until(active.wait_until(is_stale), self._perform(active, effect), name=name)

    async def _perform(self, active: ActiveJob, effect: Effect) -> JobEvent:
        streak = self._streak("effect", effect)
        return await until_done(
            partial(self._try, active, effect), streak, self._timing, expected=(Retryable,), bugs=Bugs.RETRY
        )

    async def _try(self, active: ActiveJob, effect: Effect) -> JobEvent:
        """One call of the handler. Raises Unavailable where the call was given up as stuck, as the handler does."""
        name = f"{effect.kind} {active.job.id}"
        one = self._tries[effect.job_id] = _Try(effect, self._timing.clock.monotonic(), asyncio.Event())
        try:
            event = await until(one.restart.wait(), self._handlers[effect.kind].perform(active), name=name)
        finally:
            del self._tries[effect.job_id]
        if event is None:
            what = f"{effect.kind} has not ended for {STUCK_SECONDS / 60:.0f} minutes"
            raise Unavailable("effect-stuck", what, hint=f"it is made again; see: danube explain {effect.job_id}")
        return event

    def _streak(self, event: str, effect: Effect) -> Streak:
        fields = {"job": effect.job_id, "effect": str(effect.kind)}
        return Streak(event, self._timing, PAUSES, log=_log, fields=fields)
