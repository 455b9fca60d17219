"""`danube whoami`: who you are for the server, and what you may do."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_table, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    me = client.get("/api/v1/me")
    teams = ", ".join(f"{team} ({role})" for team, role in me["teams"].items())
    rows = [
        ("server", client.server.name),
        ("name", me["name"]),
        ("global administrator", "yes" if me["global_admin"] else "no"),
        ("teams", teams or "none"),
        ("token for", "everything" if me["scopes"] is None else " ".join(me["scopes"])),
    ]
    return show(me, options, lambda _: print_table(("", ""), rows))
