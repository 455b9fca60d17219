"""`danube deliveries`: what arrived from forges and clocks, newest first, and what it did to each pipeline, and why."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, print_json, print_table
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repository", metavar="OWNER/NAME", help="only of this repository, as its forge names it")
    parser.add_argument("--source", help="only from there: github, gitlab, gitea, forgejo, cron, pipeline")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    query = {"repository": options.repository, "source": options.source}
    deliveries = list(ApiClient(options).listed("/api/v1/deliveries", "deliveries", query, limit=options.limit))
    if options.json:
        print_json(deliveries)
        return 0
    heads = ("AGE", "SOURCE", "EVENT", "PIPELINE", "RESULT", "JOB, OR WHY NONE")
    print_table(heads, [row for one in deliveries for row in _rows(one)])
    return 0


def _rows(delivery: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """One for each pipeline; those after the first say no more than that."""
    head = (ago(delivery["received_at"]), delivery["source"], delivery["event"])
    if not delivery["outcomes"]:
        yield (*head, "", "" if delivery["settled_at"] else "waits", delivery["note"])
    for outcome in delivery["outcomes"]:
        yield (*head, outcome["pipeline"], outcome["result"], outcome["job"] or outcome["why"])
        head = ("", "", "")
