"""`danube users`: the users of the configuration, and the accounts of an issuer that are bound to them."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_table, say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list users, and the account that each is bound to")
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    unbind = commands.add_parser("unbind", help="let a user's next login bind another account; their sessions end")
    unbind.set_defaults(act=_unbind)
    unbind.add_argument("name", metavar="NAME", help="the user's name or address")
    add_server_arguments(unbind, json_help="")


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def user_path(name: str, part: str) -> str:
    """The path of a part of a user's logins: `identity`, `sessions` or `tokens`."""
    return f"/api/v1/users/{quote(name, safe='@')}/{part}"


def _list(options: argparse.Namespace) -> int:
    return show(ApiClient(options).get("/api/v1/users")["users"], options, _print)


def _print(users: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["name"], one["email"], "removed" if one["removed"] else "", one["issuer"], one["subject"]) for one in users
    ]
    print_table(("NAME", "EMAIL", "STATE", "ISSUER", "SUBJECT"), rows)


def _unbind(options: argparse.Namespace) -> int:
    ended = ApiClient(options).delete(user_path(options.name, "identity"))["ended"]
    say(f"unbound {options.name}: the next login binds anew; sessions ended: {ended}")
    return 0
