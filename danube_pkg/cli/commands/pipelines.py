"""`danube pipelines`: the pipelines of the configuration."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_table, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    return show(list(ApiClient(options).listed("/api/v1/pipelines", "pipelines")), options, _print)


def _print(pipelines: Sequence[Mapping[str, Any]]) -> None:
    rows = [(one["name"], one["team"], one["repository"], one["script"]) for one in pipelines]
    print_table(("PIPELINE", "TEAM", "REPOSITORY", "SCRIPT"), rows)
