"""`python -m bench [--against REVISION] [SUITE …]`: run the named suites, or all; or compare them with another
revision."""

import argparse
import importlib
from pathlib import Path

from bench.compare import compare
from bench.figures import Figure, print_figures, write_figures

SUITES = (
    "start",
    "triggers",
    "pods",
    "steps",
    "profile",
    "queue",
    "logs",
    "masks",
    "http",
    "images",
    "provenance",
    "egress",
    "git",
    "web",
    "kubernetes",
)
"""Modules of this package, each with `measure() -> list[Figure]`."""

RESULT = Path(__file__).resolve().parents[1] / "build" / "bench.json"


def main() -> int:
    """0 when every suite ran, whatever it measured; with --against 1 if a figure became too much worse."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"one of: {', '.join(SUITES)}")
    parser.add_argument("--against", metavar="REVISION", default="", help="measure this revision too, by turns")
    options = parser.parse_args()
    if unknown := [name for name in options.suites if name not in SUITES]:
        parser.error(f"there is no suite {unknown[0]!r}; there are: {', '.join(SUITES)}")
    suites = options.suites or SUITES
    if options.against:
        return compare(options.against, suites)
    figures: list[Figure] = []
    for name in suites:
        found = importlib.import_module(f"bench.{name}").measure()
        print_figures(found)
        figures += found
    write_figures(figures, RESULT)
    print(f"written to {RESULT}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
