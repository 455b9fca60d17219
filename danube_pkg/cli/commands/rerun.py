"""`danube rerun JOB`: the same commit and parameters again, followed to its end if asked to; `--failed COMMIT` runs again whatever
failed of a commit."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.logs import follow_to_end
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Invalid, NotFound

NEWEST_JOBS = 2000
"""How far back a commit's jobs are looked for: a day of a large team."""

SHORTEST_COMMIT = 7
"""Digits by which a commit is named; fewer could be several."""

FAILED = ("failure", "timeout")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?")
    parser.add_argument(
        "--failed", metavar="COMMIT", help="every pipeline whose newest job of this commit failed; instead of JOB"
    )
    parser.add_argument("--wait", action="store_true", help="print the log and end as the job ends: 0 or 1")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    if bool(options.job) == bool(options.failed) or (options.failed and options.wait):
        raise Invalid("rerun-of-what", "name one job, or a commit without --wait", hint="danube rerun --failed COMMIT")
    client = ApiClient(options)
    if options.failed:
        made = [_rerun(client, job["id"]) for job in _failed(client, options.failed)]
        return _print(made if options.json else [job["id"] for job in made], as_json=options.json)
    job = _rerun(client, options.job)
    if options.wait:
        return follow_to_end(client, job["id"], as_json=options.json)
    code = _print(job if options.json else [job["id"]], as_json=options.json)
    if not options.json:
        print(f"  follow it: danube logs -f {job['id']}", file=sys.stderr)
    return code


def _rerun(client: ApiClient, job_id: str) -> Mapping[str, Any]:
    made: Mapping[str, Any] = client.post(f"/api/v1/jobs/{quote(job_id, safe='')}/rerun")
    return made


def _print(what: Any, *, as_json: bool) -> int:
    if as_json:
        print_json(what)
    else:
        print("\n".join(what))
    return 0


def _failed(client: ApiClient, commit: str) -> list[Mapping[str, Any]]:
    """By pipeline the newest job of that commit, where it failed. Raises Invalid, NotFound."""
    if len(commit) < SHORTEST_COMMIT:
        what = f"a commit is named by {SHORTEST_COMMIT} digits at least, not {commit!r}"
        raise Invalid("commit-too-short", what, hint="danube jobs shows commits; git log has all of their digits")
    newest: dict[str, Mapping[str, Any]] = {}
    for job in client.listed("/api/v1/jobs", "jobs", limit=NEWEST_JOBS):
        if (job["trigger"]["commit_sha"] or "").startswith(commit):
            newest.setdefault(job["pipeline"], job)
    failed = [job for _, job in sorted(newest.items()) if job["status"] in FAILED]
    if not failed:
        known = "its newest jobs did not fail" if newest else f"it has no job among the newest {NEWEST_JOBS}"
        raise NotFound("nothing-failed", f"nothing of {commit} is to be run again: {known}", hint="danube jobs")
    return failed
