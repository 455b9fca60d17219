"""Random runs: jobs, users, faults and crashes from a seed. `python -m tests.sim SEED` repeats a run that failed."""

import pytest

from tests.sim.simulation import random_scenario, simulate
from tests.sim.state import SimulationState

EVERYDAY = 16
"""So many seeds on each push. Each seed gives the same run until the code that draws it changes."""

LONG = 4000


@pytest.mark.parametrize("seed", range(EVERYDAY))
def test_every_invariant_holds(seed: int) -> None:
    simulate(random_scenario(seed))


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(EVERYDAY, EVERYDAY + LONG, 100))
def test_every_invariant_holds_in_a_hundred_runs(first: int) -> None:
    for seed in range(first, first + 100):
        simulate(random_scenario(seed))


@pytest.mark.parametrize("seed", [3])
def test_the_same_seed_gives_the_same_run(seed: int) -> None:
    """Otherwise a failure could not be repeated."""

    def trace() -> list[str]:
        state: SimulationState = simulate(random_scenario(seed))
        return state.trace

    assert trace() == trace()
