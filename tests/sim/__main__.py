"""Repeat one simulation and print its trace: `python -m tests.sim 4711`.

A small job instead of a seed takes `--point`, `--commit` and `--call`.
"""

import argparse
from dataclasses import replace

from tests.sim.faults import CrashPlan
from tests.sim.simulation import random_scenario, simulate
from tests.sim.small_jobs import EACH, scenario_of


def main() -> None:
    """Print the trace with every line that the servers logged; fail as the run does."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("what", help=f"a seed, or a small job: {', '.join(EACH)}")
    parser.add_argument("--point", type=int, nargs="*", default=[], help="the server crashes at these points")
    parser.add_argument("--commit", type=int, nargs="*", default=[], help="these commits fail")
    parser.add_argument("--call", type=int, nargs="*", default=[], help="these calls of the runtime fail")
    options = parser.parse_args()
    scenario = scenario_of(options.what) if options.what in EACH else random_scenario(int(options.what))
    if options.point:
        scenario = replace(scenario, crashes=CrashPlan(points=frozenset(options.point)))
    if options.commit:
        scenario = replace(scenario, failing_commits=frozenset(options.commit))
    if options.call:
        scenario = replace(scenario, failing_calls=frozenset(options.call))
    simulate(scenario, verbose=True)


if __name__ == "__main__":
    main()
