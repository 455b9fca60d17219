"""`danube drain`: the server takes no new work, what runs goes on; also over a restart, until `danube resume`."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    state = ApiClient(options).post("/api/v1/system/drain")
    if options.json:
        print_json(state)
    else:
        print(f"no new work is taken, since {state['since']}, by {state['by']}; danube resume ends it")
    return 0
