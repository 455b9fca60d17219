"""Random runs: jobs, people, troubles and deaths from a seed. Any seed that fails is run again with `python -m tests.sim`."""

import pytest

from tests.sim.simulation import random_scenario, simulate
from tests.sim.world import World

EVERYDAY = 25
"""So many seeds on each push. Each seed gives the same run until the code that draws it changes."""

LONG = 4000


@pytest.mark.parametrize("seed", range(EVERYDAY))
def test_every_promise_holds_whatever_happens(seed: int) -> None:
    simulate(random_scenario(seed))


@pytest.mark.long
@pytest.mark.parametrize("first", range(EVERYDAY, EVERYDAY + LONG, 100))
def test_every_promise_holds_whatever_happens_a_hundred_times(first: int) -> None:
    for seed in range(first, first + 100):
        simulate(random_scenario(seed))


@pytest.mark.parametrize("seed", [3, 11])
def test_the_same_seed_is_the_same_run(seed: int) -> None:
    """Or a failure could not be looked at again."""

    def story() -> list[str]:
        world: World = simulate(random_scenario(seed))
        return world.story

    assert story() == story()
