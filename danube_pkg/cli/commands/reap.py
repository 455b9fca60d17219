"""`danube reap`: remove the files of ended jobs that are due, now; with --dry-run, list what would be removed and
why."""

import argparse
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_table, say, show, size
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="list what would be removed and why; remove nothing")
    parser.add_argument(
        "--trust-clock", action="store_true", help="the time is right though it jumped: remove what is due by it"
    )
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.dry_run:
        return show(client.get("/api/v1/system/retention"), options, _print_plan)
    run = client.post("/api/v1/system/reap", {"trust_clock": options.trust_clock})
    return show(run, options, _print_run)


def _print_plan(plan: Mapping[str, Any]) -> None:
    rows = [
        (one["job"], one["pipeline"], one["kind"], size(one["size_bytes"]), one["why"], f"{one['age_days']:.1f} d")
        for one in plan["removals"]
    ]
    print_table(("JOB", "PIPELINE", "FILES", "SIZE", "WHY", "AGE"), rows)
    if plan["count"] > len(rows):
        say(f"and {plan['count'] - len(rows)} more")
    say(f"{plan['count']} would be removed, {size(plan['freed_bytes'])}")
    for one in plan["images"]:
        say(f"image {one['repository']} {' '.join(one['tags']) or one['digest']}: {one['why']}")
    if plan["caches"]:
        say(f"{plan['caches']} caches that no job has used for long, {size(plan['caches_bytes'])}")
    if plan["images_problem"]:
        say(f"images of the registry are not known: {plan['images_problem']}")
    if plan["unknown"]:
        say(f"{plan['unknown']} are of jobs that the database does not know, and stay")
    if plan["problem"]:
        say(f"nothing is removed at present: {plan['problem']}")


def _print_run(run: Mapping[str, Any]) -> None:
    images = f"; {run['images']} images of the registry" if run["images"] else ""
    caches = f"; {run['caches']} caches" if run["caches"] else ""
    say(f"{run['count']} removed, {size(run['freed_bytes'])}{caches}{images}")
