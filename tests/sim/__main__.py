"""Run one seed again and tell its story: `python -m tests.sim SEED`."""

import sys

from tests.sim.simulation import random_scenario, simulate

if __name__ == "__main__":
    simulate(random_scenario(int(sys.argv[1])), tell=True)
