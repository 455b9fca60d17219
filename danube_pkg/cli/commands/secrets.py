"""`danube secrets`: set, list and remove secrets, and rotate the key that encrypts them.

A value is never an argument, since other users can see arguments."""

import argparse
import getpass
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.line_ends import without_line_end
from danube_pkg.cli.output import ago, print_table, say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import NotFound
from danube_pkg.core.secrets.secret import MAX_VALUE_BYTES, check_key, check_value


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, act, text in (
        ("set", _set, "set a secret; the value is read from standard input"),
        ("list", _list, "list the names of secrets"),
        ("remove", _remove, "remove a secret"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name != "list":
            command.add_argument("key", metavar="KEY", help="the secret's name")
        command.add_argument("--pipeline", metavar="P", help="for this pipeline only (for all)")
        if name == "set":
            command.add_argument("--future", action="store_true", help="the pipeline is not in the configuration yet")
        command.set_defaults(act=act)
        add_server_arguments(command, json_help="print JSON" if name == "list" else "")

    rotation = commands.add_parser(
        "rotate-key",
        help="encrypt every secret with a new key, while the server is stopped",
        description="Encrypt every secret with a new keys/encryption.key, while the server is stopped and no job runs.",
    )
    rotation.add_argument(
        "--data", metavar="DIR", help="the data directory (DANUBE_DATA; else as other commands find it)"
    )
    rotation.add_argument("--json", action="store_true", help="print JSON")
    rotation.set_defaults(act=_rotate_key)


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def _path(options: argparse.Namespace) -> str:
    base = f"/api/v1/pipelines/{quote(options.pipeline, safe='')}" if options.pipeline else "/api/v1"
    return f"{base}/secrets"


def _set(options: argparse.Namespace) -> int:
    check_key(options.key)
    client = ApiClient(options)
    if options.pipeline and not options.future:
        _check_pipeline(client, options)
    stored = client.put(f"{_path(options)}/{options.key}", check_value(value_from_input(options.key)))
    for warning in (stored or {}).get("warnings", ()):
        say(f"danube: warning: {warning}", file=sys.stderr)
    return 0


def _check_pipeline(client: ApiClient, options: argparse.Namespace) -> None:
    """Raises NotFound: a secret under a misspelt name would be read by no job."""
    try:
        client.get(f"/api/v1/pipelines/{quote(options.pipeline, safe='')}")
    except NotFound as error:
        hint = f"{error.hint}; for one to come: danube secrets set {options.key} --pipeline {options.pipeline} --future"
        raise NotFound(error.reference, error.what, cause=error.cause, hint=hint.removeprefix("; ")) from error


def value_from_input(key: str) -> bytes:
    """From a prompt on a terminal, else from standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"value of {key}: ").encode()
    return without_line_end(sys.stdin.buffer.read(MAX_VALUE_BYTES + 2))


def _list(options: argparse.Namespace) -> int:
    return show(ApiClient(options).get(_path(options))["secrets"], options, _print)


def _print(secrets: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["key"], one["pipeline"] or "", ago(one["updated_at"]), _last_read(one["last_read"])) for one in secrets
    ]
    print_table(("KEY", "PIPELINE", "SET", "LAST READ"), rows)


def _last_read(read: Mapping[str, str] | None) -> str:
    return f"{ago(read['at'])} by {read['pipeline']} ({read['job']})" if read is not None else "never"


def _remove(options: argparse.Namespace) -> int:
    ApiClient(options).delete(f"{_path(options)}/{check_key(options.key)}")
    return 0


def _rotate_key(options: argparse.Namespace) -> int:
    """It opens the data directory itself, so that other commands need not import what that takes."""
    return int(importlib.import_module("danube_pkg.cli.key_rotation").rotate_key(options))
