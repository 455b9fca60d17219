"""`danube audit`: who did what, newest first; with --check, whether all of it is still there as it was written."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json, print_table
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--actor", help="only what this one did")
    parser.add_argument("--action", help="only this action, such as set-secrets")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many (50)")
    parser.add_argument("--check", action="store_true", help="check the chain of all entries; 1 when it is broken")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.check:
        return _check(client, as_json=options.json)
    query = {"actor": options.actor, "action": options.action}
    entries = list(client.listed("/api/v1/audit", "entries", query, limit=options.limit))
    if options.json:
        print_json(entries)
        return 0
    rows = [
        (one["at"][:19], one["actor"], one["action"], one["target"], one["outcome"], one["address"]) for one in entries
    ]
    print_table(("AT", "WHO", "DID", "TO", "OUTCOME", "FROM"), rows)
    return 0


def _check(client: ApiClient, *, as_json: bool) -> int:
    state = client.get("/api/v1/audit/check")
    if as_json:
        print_json(state)
    elif state["whole"]:
        print(f"all {state['entries']} entries are as they were written")
    else:
        print(f"the audit is broken: entry {state['broken_at']} is changed or missing")
    return 0 if state["whole"] else 1
