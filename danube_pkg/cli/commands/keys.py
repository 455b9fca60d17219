"""`danube keys`: the server's public keys, for forges and for verifiers."""

import argparse
from collections.abc import Mapping

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    return show({"deploy_key": ApiClient(options).get("/api/v1/config")["deploy_key"]}, options, _print)


def _print(keys: Mapping[str, str]) -> None:
    say("# Git over SSH: give this key read access to the configuration repository and to private repositories.")
    say(keys["deploy_key"])
