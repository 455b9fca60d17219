"""`python -m bench [SUITE …]`: run the suites that are named, all if none is."""

import importlib
import sys
from pathlib import Path

from bench.figures import Figure, print_figures, write_figures

SUITES = ("start", "triggers", "steps", "logs", "http", "images", "egress", "git", "web")
"""Modules of this package, each with `measure() -> list[Figure]`."""

RESULT = Path(__file__).resolve().parents[1] / "build" / "bench.json"


def main(names: list[str]) -> int:
    """0 when every suite ran, whatever it measured; 2 for a name that is none."""
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(f"no suite {unknown[0]!r}; there are: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or SUITES:
        found = importlib.import_module(f"bench.{name}").measure()
        print_figures(found)
        figures += found
    write_figures(figures, RESULT)
    print(f"written to {RESULT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
