"""The performer of effects: one handler for each kind."""

import pytest

from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.events import JobEvent, PodDeleted
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.effects.performer import EffectPerformer


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
