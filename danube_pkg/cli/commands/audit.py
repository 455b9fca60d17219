"""`danube audit`: who did what, newest first; with --check, whether the audit log is complete and unchanged."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import note_unknown, print_table, say, show
from danube_pkg.cli.servers import add_server_arguments

SEARCHED = 1000
"""The newest entries whose actors and actions are known by name."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--actor", help="only what this caller did")
    parser.add_argument("--action", help="only this action: set-secrets, for example")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many (50)")
    parser.add_argument("--check", action="store_true", help="check the chain of all entries; exit code 1 if broken")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.check:
        state = client.get("/api/v1/audit/check")
        show(state, options, _print_check)
        return 0 if state["whole"] else 1
    query = {"actor": options.actor, "action": options.action}
    found = list(client.listed("/api/v1/audit", "entries", query, limit=options.limit))
    for name, value in query.items() if not found else ():
        if value:
            entries = client.listed("/api/v1/audit", "entries", {}, limit=SEARCHED)
            note_unknown(name, value, [one[name] for one in entries])
    return show(found, options, _print)


def _print(entries: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["at"][:19], one["actor"], one["action"], one["target"], one["outcome"], one["address"]) for one in entries
    ]
    print_table(("AT", "WHO", "DID", "TO", "OUTCOME", "FROM"), rows)


def _print_check(state: Mapping[str, Any]) -> None:
    if state["whole"]:
        say(f"audit log OK: all {state['entries']} entries are unchanged")
    else:
        say(f"the audit log is broken: entry {state['broken_at']} is changed or missing")
