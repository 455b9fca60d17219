"""What followers of a log get while jobs run: without delay, and exactly."""

from danube_pkg.core.logs.index import RecordKind, records
from tests.fakes.processes import Print, Wait
from tests.sim.job_plans import JobPlan, Parallel, StepPlan
from tests.sim.scenarios import Scenario
from tests.sim.simulation import simulate
from tests.sim.virtual_time import EPOCH

SOON_SECONDS = 4.0
"""The second that an unfinished line may hold others back, and a heartbeat of the supervisor."""


def test_an_unfinished_line_delays_other_steps_only_briefly() -> None:
    asks = StepPlan("asks", ((Print(b"really? "), Wait(60.0)),))
    works = StepPlan("works", ((Wait(1.0), Print(b"half of it is done\n"), Wait(60.0)),))
    seen: list[float] = []

    def on_index(index: bytes) -> None:
        seen.extend(
            one.time_us / 1e6 - EPOCH for one in records(index) if one.kind is RecordKind.OUTPUT and one.step == 2
        )

    simulate(Scenario(seed=1, plans=(JobPlan("patient", (Parallel((asks, works)),)),)), on_index=on_index)
    assert seen
    assert seen[0] < 1.0 + SOON_SECONDS + 3.0  # the job starts within three seconds
