"""`danube pipelines`: what the configuration has."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json, print_table
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    pipelines = list(ApiClient(options).listed("/api/v1/pipelines", "pipelines"))
    if options.json:
        print_json(pipelines)
        return 0
    print_table(
        ("PIPELINE", "TEAM", "REPOSITORY", "SCRIPT"),
        [(one["name"], one["team"], one["repository"], one["script"]) for one in pipelines],
    )
    return 0
