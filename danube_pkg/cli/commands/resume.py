"""`danube resume`: the server takes work again."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    state = ApiClient(options).post("/api/v1/system/resume")
    if options.json:
        print_json(state)
    else:
        print("work is taken again")
    return 0
