"""`danube token`: API tokens for scripts and other machines. A token is shown only when it is created."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.users import user_path
from danube_pkg.cli.durations import days
from danube_pkg.cli.output import ago, print_table, say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.identity.people import MAX_TOKEN_DAYS, TOKEN_DAYS


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = commands.add_parser("create", help="create a token and print it; it cannot be shown again")
    create.set_defaults(act=_create)
    add_token_arguments(create, name="danube token create")
    add_server_arguments(create)
    listing = commands.add_parser("list", help="list your tokens and when they were last used")
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    revoke = commands.add_parser("revoke", help="revoke a token, or all tokens of a user")
    revoke.set_defaults(act=_revoke)
    chosen = revoke.add_mutually_exclusive_group(required=True)
    chosen.add_argument("id", nargs="?", metavar="ID", help="its id, from danube token list")
    chosen.add_argument("--user", metavar="NAME", help="all tokens of this user, named by name or address")
    add_server_arguments(revoke, json_help="")


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def add_token_arguments(parser: argparse.ArgumentParser, *, name: str) -> None:
    """--name, --scope and --expires. name: the default of --name."""
    words = ", ".join(Scope)
    parser.add_argument("--name", default=name, help="a name to recognise it by")
    parser.add_argument(
        "--scope",
        action="append",
        choices=list(map(str, Scope)),
        metavar="SCOPE",
        help=f"what it may be used for: {words} (all)",
    )
    parser.add_argument(
        "--expires",
        type=days,
        default=TOKEN_DAYS,
        metavar="DAYS",
        help=f"for how many days it works, also 12w ({TOKEN_DAYS}); at most {MAX_TOKEN_DAYS}",
    )


def scopes_of(options: argparse.Namespace) -> list[str]:
    """The scopes of the options; all if none are named."""
    return options.scope or list(map(str, Scope))


def _create(options: argparse.Namespace) -> int:
    body = {"name": options.name, "scopes": scopes_of(options), "days": options.expires}
    return show(ApiClient(options).post("/api/v1/tokens", body), options, _print_made)


def _print_made(made: Mapping[str, Any]) -> None:
    say(made["token"])
    record = made["record"]
    say(f"  {record['name']}, until {record['expires_at'][:10]}; it cannot be shown again", file=sys.stderr)


def _list(options: argparse.Namespace) -> int:
    return show(ApiClient(options).get("/api/v1/tokens")["tokens"], options, _print)


def _print(tokens: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["id"], one["name"], " ".join(one["scopes"]), one["expires_at"][:10], ago(one["used_at"]) or "never")
        for one in tokens
    ]
    print_table(("ID", "NAME", "SCOPES", "EXPIRES", "USED"), rows)


def _revoke(options: argparse.Namespace) -> int:
    if options.user:
        say(f"tokens revoked: {ApiClient(options).delete(user_path(options.user, 'tokens'))['ended']}")
        return 0
    ApiClient(options).delete(f"/api/v1/tokens/{options.id}")
    return 0
