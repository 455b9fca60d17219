"""`danube sessions`: your browsers' logins, and those of another user, to be ended."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.users import user_path
from danube_pkg.cli.output import ago, print_table, say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list your sessions and when they were last used")
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    end = commands.add_parser("end", help="end all sessions of a user")
    end.set_defaults(act=_end)
    end.add_argument("name", metavar="NAME", help="the user's name or address")
    add_server_arguments(end, json_help="")


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def _list(options: argparse.Namespace) -> int:
    return show(ApiClient(options).get("/api/v1/sessions")["sessions"], options, _print)


def _print(sessions: Sequence[Mapping[str, Any]]) -> None:
    rows = [(one["id"], one["method"], one["address"], ago(one["seen_at"]), one["user_agent"]) for one in sessions]
    print_table(("ID", "METHOD", "ADDRESS", "USED", "BROWSER"), rows)


def _end(options: argparse.Namespace) -> int:
    ended = ApiClient(options).delete(user_path(options.name, "sessions"))["ended"]
    say(f"sessions ended: {ended}; tokens still work: danube token revoke --user {options.name}")
    return 0
