"""`danube deliveries`: webhook deliveries, cron moments and ends of pipelines, newest first, and what became of
them."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, print_table, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repository", metavar="OWNER/NAME", help="only of this repository, as its forge names it")
    parser.add_argument(
        "--source", help="only from this source: github, gitlab, gitea, forgejo, cron, pipeline or comparison"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    query = {"repository": options.repository, "source": options.source}
    deliveries = list(ApiClient(options).listed("/api/v1/deliveries", "deliveries", query, limit=options.limit))
    return show(deliveries, options, _print)


def _print(deliveries: Sequence[Mapping[str, Any]]) -> None:
    heads = ("AGE", "SOURCE", "EVENT", "PIPELINE", "RESULT", "JOB, OR WHY NONE")
    print_table(heads, [row for one in deliveries for row in _rows(one)])


def _rows(delivery: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each pipeline; those after the first leave out what is the same for all."""
    head = (ago(delivery["received_at"]), delivery["source"], delivery["event"])
    if not delivery["outcomes"]:
        yield (*head, "", "" if delivery["settled_at"] else "waits", delivery["note"])
    for outcome in delivery["outcomes"]:
        yield (*head, outcome["pipeline"], outcome["result"], outcome["job"] or outcome["why"])
        head = ("", "", "")
