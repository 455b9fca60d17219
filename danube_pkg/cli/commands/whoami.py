"""`danube whoami`: whom the server takes you for, and what you may do."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json, print_table
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    me = client.get("/api/v1/me")
    if options.json:
        print_json(me)
        return 0
    teams = ", ".join(f"{team} ({role})" for team, role in me["teams"].items())
    rows = [
        ("server", client.place.name),
        ("name", me["name"]),
        ("global administrator", "yes" if me["global_admin"] else "no"),
        ("teams", teams or "none"),
        ("token for", "everything" if me["scopes"] is None else " ".join(me["scopes"])),
    ]
    print_table(("", ""), rows)
    return 0
