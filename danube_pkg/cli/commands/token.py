"""`danube token`: tokens for scripts and other machines; what one is, is shown once."""

import argparse
import sys

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, print_json, print_table
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.identity.people import MAX_TOKEN_DAYS, TOKEN_DAYS


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = commands.add_parser("create", help="make a token; it is printed, and never again")
    create.set_defaults(act=_create)
    create.add_argument("--json", action="store_true", help="print JSON")
    add_token_arguments(create, name="danube token create")
    listing = commands.add_parser("list", help="list your tokens and their last use")
    listing.set_defaults(act=_list)
    listing.add_argument("--json", action="store_true", help="print JSON")
    revoke = commands.add_parser("revoke", help="end a token")
    revoke.set_defaults(act=_revoke)
    revoke.add_argument("id", metavar="ID", help="as danube token list shows it")
    for command in (create, listing, revoke):
        add_server_arguments(command)


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def add_token_arguments(parser: argparse.ArgumentParser, *, name: str) -> None:
    """What a token is for, and for how long."""
    words = ", ".join(Scope)
    parser.add_argument("--name", default=name, help="what you will know it by")
    parser.add_argument(
        "--scope",
        action="append",
        choices=list(map(str, Scope)),
        metavar="SCOPE",
        help=f"what it is for: {words} (all)",
    )
    parser.add_argument(
        "--expires", type=int, default=TOKEN_DAYS, metavar="DAYS", help=f"{TOKEN_DAYS}; at most {MAX_TOKEN_DAYS}"
    )


def scopes_of(options: argparse.Namespace) -> list[str]:
    """Those that were named, else all."""
    return options.scope or list(map(str, Scope))


def _create(options: argparse.Namespace) -> int:
    body = {"name": options.name, "scopes": scopes_of(options), "days": options.expires}
    made = ApiClient(options).post("/api/v1/tokens", body)
    if options.json:
        print_json(made)
        return 0
    print(made["token"])
    print(f"  {made['record']['name']}, until {made['record']['expires_at'][:10]}; shown only now", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    tokens = ApiClient(options).get("/api/v1/tokens")["tokens"]
    if options.json:
        print_json(tokens)
        return 0
    rows = [
        (one["id"], one["name"], " ".join(one["scopes"]), one["expires_at"][:10], ago(one["used_at"]) or "never")
        for one in tokens
    ]
    print_table(("ID", "NAME", "SCOPES", "EXPIRES", "USED"), rows)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    ApiClient(options).delete(f"/api/v1/tokens/{options.id}")
    return 0
