"""`danube explain JOB`: why a job waits, or why it failed; with --egress, what it reached."""

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.egress_output import print_ledger
from danube_pkg.cli.output import one_line, say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--egress", action="store_true", help="show what it reached and what it was refused")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    path = f"/api/v1/jobs/{quote(options.job, safe='')}"
    if options.egress:
        return show(ApiClient(options).get(f"{path}/egress"), options, print_ledger)
    return show(ApiClient(options).get(f"{path}/explanation"), options, _print)


def _print(found: Mapping[str, Any]) -> None:
    for line in filter(None, (found["about"], *found["lines"])):
        say(one_line(line))
    if found["hint"]:
        say(f"  hint: {one_line(found['hint'])}")
