"""`danube pipelines`: what the configuration has."""

import argparse
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.client import Client
from danube_pkg.cli.output import print_json, print_table
from danube_pkg.cli.places import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    pipelines = _all(Client(options))
    if options.json:
        print_json(pipelines)
        return 0
    print_table(
        ("PIPELINE", "TEAM", "REPOSITORY", "SCRIPT"),
        [(one["name"], one["team"], one["repository"], one["script"]) for one in pipelines],
    )
    return 0


def _all(client: Client) -> list[Mapping[str, Any]]:
    """Page after page."""
    found: list[Mapping[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/api/v1/pipelines", {"cursor": cursor})
        found += page["pipelines"]
        cursor = page["cursor"]
    return found
