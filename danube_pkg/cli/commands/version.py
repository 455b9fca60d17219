"""`danube version`: the version, and of what it is made."""

import argparse
import platform

from danube_pkg import __version__
from danube_pkg.cli.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    found = {"danube": __version__, "python": platform.python_version(), "machine": platform.machine()}
    if options.json:
        print_json(found)
    else:
        print(f"danube {found['danube']} (Python {found['python']}, {found['machine']})")
    return 0
