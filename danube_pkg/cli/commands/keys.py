"""`danube keys`: the server's public keys, for forges and for verifiers; a new signing key."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.file_output import write_output
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.kit.terminal import json_text

KEYS_PATH = "/.well-known/danube-signing-keys.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        choices=("show", "rotate", "export"),
        default="show",
        help="show the public keys (default); rotate: make a new signing key; export: write the signing keys for danube verify",
    )
    parser.add_argument("--public", action="store_true", help="export the current public key alone, as PEM")
    parser.add_argument("--output", metavar="FILE", help="where export writes (standard output)")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.action == "rotate":
        return show(client.post("/api/v1/keys/rotate", {}), options, _print_rotated)
    document = client.get(KEYS_PATH)
    if options.action == "export":
        text = document["keys"][0]["public_key"] if options.public else json_text(document) + "\n"
        write_output(options.output, text.encode())
        return 0
    found = {"deploy_key": client.get("/api/v1/config")["deploy_key"], "signing_keys": document["keys"]}
    return show(found, options, _print)


def _print(keys: Mapping[str, Any]) -> None:
    say("# Git over SSH: give this key read access to the configuration repository and to private repositories.")
    say(keys["deploy_key"])
    for key in keys["signing_keys"]:
        state = f"retired at {key['retired_at']}" if key["retired_at"] else "current"
        say(f"# Provenance: signing key {key['keyid']} ({state})")
        say(key["public_key"], end="")


def _print_rotated(key: Mapping[str, Any]) -> None:
    say("provenance is signed with a new key from now on; give it to verifiers:", file=sys.stderr)
    say(f"# signing key {key['keyid']}")
    say(key["public_key"], end="")
