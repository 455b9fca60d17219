"""`danube version`: the versions of Danube and Python, and the machine's architecture."""

import argparse
import platform
from collections.abc import Mapping

from danube_pkg import __version__
from danube_pkg.cli.output import say, show


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    found = {"danube": __version__, "python": platform.python_version(), "machine": platform.machine()}
    return show(found, options, _print)


def _print(found: Mapping[str, str]) -> None:
    say(f"danube {found['danube']} (Python {found['python']}, {found['machine']})")
