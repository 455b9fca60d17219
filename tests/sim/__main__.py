"""Run one simulation again and tell its story: `python -m tests.sim 4711`, or a small job with `--point`, `--commit`, `--call`."""

import argparse
from dataclasses import replace

from tests.sim.fate import Deaths
from tests.sim.jobs import EACH, scenario_of
from tests.sim.simulation import random_scenario, simulate


def main() -> None:
    """What failed, with every line that its servers logged."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("what", help=f"a seed, or a small job: {', '.join(EACH)}")
    parser.add_argument("--point", type=int, nargs="*", default=[], help="the server dies at these points")
    parser.add_argument("--commit", type=int, nargs="*", default=[], help="these commits fail")
    parser.add_argument("--call", type=int, nargs="*", default=[], help="these calls of the runtime fail")
    options = parser.parse_args()
    scenario = scenario_of(options.what) if options.what in EACH else random_scenario(int(options.what))
    if options.point:
        scenario = replace(scenario, deaths=Deaths(points=frozenset(options.point)))
    if options.commit:
        scenario = replace(scenario, failing_commits=frozenset(options.commit))
    if options.call:
        scenario = replace(scenario, failing_calls=frozenset(options.call))
    simulate(scenario, tell=True)


if __name__ == "__main__":
    main()
