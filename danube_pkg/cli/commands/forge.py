"""`danube forge check`: what is missing at the forges, for each repository whose pipelines wait for webhooks."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, print_json, print_table, say
from danube_pkg.cli.servers import add_server_arguments

_PROBLEMS = (
    ("cannot be read", "read_problem"),
    ("webhook", "webhook_problem"),
    ("commit status", "status_problem"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check", help="check reading, webhooks, commit statuses and rights; exit code 1 for a problem"
    )
    add_server_arguments(check)


def main(options: argparse.Namespace) -> int:
    found = ApiClient(options).get("/api/v1/forges/check")["repositories"]
    if options.json:
        print_json(found)
    else:
        _print(found)
    return 0 if all(one["good"] for one in found) else 1


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    heads = ("REPOSITORY", "FORGE", "READ", "WEBHOOK", "STATUS", "LAST DELIVERY")
    rows = [
        (
            one["repository"],
            one["forge"],
            *("no" if one[key] else "yes" for _, key in _PROBLEMS),
            ago(one["delivered_at"]) if one["delivered_at"] else "never",
        )
        for one in found
    ]
    print_table(heads, rows)
    for one in found:
        for line in _problems(one):
            say(f"{one['repository']}: {line}")


def _problems(one: Mapping[str, Any]) -> Iterator[str]:
    for what, key in _PROBLEMS:
        if one[key]:
            yield f"{what}: {one[key]}"
    for right in one["missing_rights"]:
        yield f"missing right of the credential: {right}"
