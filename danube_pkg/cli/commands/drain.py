"""`danube drain`: the server starts no new jobs, and running ones continue; until `danube resume`, over restarts."""

import argparse
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    return show(ApiClient(options).post("/api/v1/system/drain"), options, print_state)


def print_state(state: Mapping[str, Any]) -> None:
    """Whether the server is draining."""
    if state["active"]:
        print(f"draining since {state['since']}, by {state['by']}; danube resume ends it")
    else:
        print("not draining; new jobs are started")
