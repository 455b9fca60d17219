"""`danube caches`: list and remove the caches of a pipeline."""

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, print_table, say, show, size
from danube_pkg.cli.servers import add_server_arguments

SHOWN_KEY = 24
"""Characters of a key in the table; --json has all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list a pipeline's caches, the most recently used first")
    listing.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's name")
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    removal = commands.add_parser("remove", help="remove a pipeline's caches")
    removal.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's name")
    chosen = removal.add_mutually_exclusive_group(required=True)
    chosen.add_argument("cache", metavar="ID", nargs="?", help="one cache, by the id that the list shows")
    chosen.add_argument("--all", action="store_true", help="all of them")
    removal.set_defaults(act=_remove)
    add_server_arguments(removal)


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def _path(options: argparse.Namespace) -> str:
    return f"/api/v1/pipelines/{quote(options.pipeline, safe='')}/caches"


def _list(options: argparse.Namespace) -> int:
    return show(ApiClient(options).get(_path(options)), options, _print)


def _print(found: Mapping[str, Any]) -> None:
    rows = [
        (
            one["id"],
            f"{one['name']} (snapshot of step {one['step']})" if one["step"] else one["name"],
            one["key"] if len(one["key"]) <= SHOWN_KEY else f"{one['key'][: SHOWN_KEY - 1]}…",
            one["ref"].removeprefix("refs/heads/") + ("" if one["trusted"] else " (untrusted)"),
            size(one["size_bytes"]),
            str(one["hits"]),
            ago(one["used_at"]),
        )
        for one in found["caches"]
    ]
    print_table(("ID", "NAME", "KEY", "REF", "SIZE", "HITS", "USED"), rows)
    say(f"{size(found['size_bytes'])} of {size(found['limit_bytes'])}")


def _remove(options: argparse.Namespace) -> int:
    path = _path(options) if options.all else f"{_path(options)}/{quote(options.cache, safe='')}"
    removed = ApiClient(options).delete(path)
    return show(removed, options, lambda found: say(f"{found['count']} removed, {size(found['freed_bytes'])}"))
