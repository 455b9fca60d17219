"""`danube keys`: public halves, to be given to forges and to whoever verifies."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    deploy_key = ApiClient(options).get("/api/v1/config")["deploy_key"]
    if options.json:
        print_json({"deploy_key": deploy_key})
        return 0
    print("# Git, by ssh: give it read access to the configuration and to private repositories.")
    print(deploy_key)
    return 0
