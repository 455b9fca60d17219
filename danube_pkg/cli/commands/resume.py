"""`danube resume`: the server starts jobs again."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.drain import print_state
from danube_pkg.cli.output import show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    return show(ApiClient(options).post("/api/v1/system/resume"), options, print_state)
