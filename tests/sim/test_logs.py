"""What readers see while jobs run: soon, and exactly."""

from danube_pkg.core.logs.index import RecordKind, records
from tests.fakes.processes import Print, Wait
from tests.sim.plans import JobPlan, Parallel, StepPlan
from tests.sim.scenarios import Scenario
from tests.sim.simulation import simulate
from tests.sim.virtual_time import EPOCH

SOON_SECONDS = 4.0
"""The open line's second, and the supervisor's heartbeat behind it."""


def test_a_prompt_keeps_another_steps_line_back_for_a_moment_only() -> None:
    asks = StepPlan("asks", ((Print(b"really? "), Wait(60.0)),))
    works = StepPlan("works", ((Wait(1.0), Print(b"half of it is done\n"), Wait(60.0)),))
    seen: list[float] = []

    def look(index: bytes) -> None:
        seen.extend(
            one.time_us / 1e6 - EPOCH for one in records(index) if one.kind is RecordKind.OUTPUT and one.step == 2
        )

    simulate(Scenario(seed=1, plans=(JobPlan("patient", (Parallel((asks, works)),)),)), look=look)
    assert seen
    assert seen[0] < 1.0 + SOON_SECONDS + 3.0  # the job begins within three seconds
