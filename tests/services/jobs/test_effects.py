"""The performer of effects: one handler for each kind."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from danube_pkg.core.jobs.effects import Effect, EffectKind
from danube_pkg.core.jobs.events import JobEvent, PodDeleted
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.effects.performer import STUCK_SECONDS, EffectPerformer
from tests.support.moved_clock import MovedClock
from tests.support.waiting import wait_until_async


class Handler:
    """An `EffectHandler` of any kind."""

    def __init__(self, kind: EffectKind) -> None:
        self.kind = kind

    async def perform(self, active: ActiveJob) -> JobEvent:
        return PodDeleted()


EVERY_KIND = [Handler(kind) for kind in EffectKind]


def test_each_kind_has_exactly_one_handler() -> None:
    timing = Timing(SystemClock())
    EffectPerformer(EVERY_KIND, timing)
    with pytest.raises(ValueError, match="no handler for close-log, create-pod"):
        EffectPerformer([one for one in EVERY_KIND if one.kind not in ("close-log", "create-pod")], timing)
    with pytest.raises(ValueError, match="two handlers for the effect delete-pod"):
        EffectPerformer([*EVERY_KIND, Handler(EffectKind.DELETE_POD)], timing)


class Hanging(Handler):
    """A handler whose first call never returns."""

    calls = 0

    async def perform(self, active: ActiveJob) -> JobEvent:
        self.calls += 1
        if self.calls == 1:
            await asyncio.Event().wait()
        return PodDeleted()


async def test_an_effect_that_never_ends_is_found_and_made_again() -> None:
    clock, hanging = MovedClock(0.0), Hanging(EffectKind.DELETE_POD)
    others = [one for one in EVERY_KIND if one.kind is not EffectKind.DELETE_POD]
    performer = EffectPerformer([hanging, *others], Timing(clock, lambda: 0.5))
    effect = Effect("01", 1, 1, EffectKind.DELETE_POD)
    active = cast(ActiveJob, SimpleNamespace(job=SimpleNamespace(id="01", generation=1)))
    performing = asyncio.create_task(performer._perform(active, effect), name="effect")
    await wait_until_async(lambda: hanging.calls == 1, 10, "the first call")
    assert performer.stuck() == []
    assert performer.resume_stuck() == 0
    clock.move(STUCK_SECONDS)
    assert performer.stuck() == [effect]
    assert performer.resume_stuck() == 1
    await wait_until_async(lambda: clock.sleepers > 0, 10, "the pause before the second call")
    clock.move(60)
    assert await performing == PodDeleted()
    assert (hanging.calls, performer.stuck()) == (2, [])
