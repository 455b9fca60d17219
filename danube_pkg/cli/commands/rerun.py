"""`danube rerun JOB`: run a job again for the same commit and parameters; `--failed-steps`: for its failed steps;
`--failed COMMIT`: run again whatever failed."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.logs import follow_started
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Invalid, NotFound

NEWEST_JOBS = 2000
"""How many jobs are searched for those of a commit: a day of a large team."""

SHORTEST_COMMIT = 7
"""The fewest digits of a commit's hash; fewer could match several commits."""

FAILED = ("failure", "timeout")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help=JOB_HELP)
    parser.add_argument(
        "--failed", metavar="COMMIT", help="instead of JOB: every pipeline whose newest job for this commit failed"
    )
    parser.add_argument(
        "--failed-steps",
        action="store_true",
        help="with JOB: its green steps are restored from their snapshots where they can be, or run again; the log and"
        " danube explain say which",
    )
    parser.add_argument("--wait", action="store_true", help="print the log; exit code 0 if the job succeeds, else 1")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    if bool(options.job) == bool(options.failed):
        raise Invalid(
            "rerun-of-what", "name one job, or a commit", hint="danube rerun JOB; danube rerun --failed COMMIT"
        )
    if options.failed_steps and options.failed:
        raise Invalid("rerun-of-what", "--failed-steps is for one job", hint="danube rerun JOB --failed-steps")
    client = ApiClient(options)
    if options.failed:
        jobs = [_rerun(client, job["id"]) for job in _failed(client, options.failed)]
        if options.wait:
            return max(follow_started(client, job, as_json=options.json) for job in jobs)
        return show(jobs, options, _print)
    job = _rerun(client, job_id(client, options.job), failed_steps=options.failed_steps)
    if options.wait:
        return follow_started(client, job, as_json=options.json)
    return show(job, options, _print_failed_steps if options.failed_steps else print_started)


def print_started(job: Mapping[str, Any]) -> None:
    """The id of a new job on standard output, and how to follow it on standard error."""
    say(job["id"])
    say(f"  follow it: danube logs -f {job['id']}", file=sys.stderr)


def _print_failed_steps(job: Mapping[str, Any]) -> None:
    print_started(job)
    say(f"  which steps were restored, and which ran again: danube explain {job['id']}", file=sys.stderr)


def _print(jobs: Sequence[Mapping[str, Any]]) -> None:
    say("\n".join(job["id"] for job in jobs))


def _rerun(client: ApiClient, job_id: str, *, failed_steps: bool = False) -> Mapping[str, Any]:
    query = "?failed_steps=true" if failed_steps else ""
    made: Mapping[str, Any] = client.post(f"/api/v1/jobs/{quote(job_id, safe='')}/rerun{query}")
    return made


def _failed(client: ApiClient, commit: str) -> list[Mapping[str, Any]]:
    """Each pipeline's newest job for that commit, if it failed. Raises Invalid, NotFound."""
    if len(commit) < SHORTEST_COMMIT:
        what = f"a commit needs at least {SHORTEST_COMMIT} digits, not {commit!r}"
        raise Invalid("commit-too-short", what, hint="danube jobs shows commits; git log shows all of their digits")
    newest: dict[str, Mapping[str, Any]] = {}
    for job in client.listed("/api/v1/jobs", "jobs", limit=NEWEST_JOBS):
        if (job["trigger"]["commit_sha"] or "").startswith(commit):
            newest.setdefault(job["pipeline"], job)
    failed = [job for _, job in sorted(newest.items()) if job["status"] in FAILED]
    if not failed:
        known = "its newest jobs did not fail" if newest else f"it has no job among the newest {NEWEST_JOBS}"
        raise NotFound("nothing-failed", f"there is nothing to run again for {commit}: {known}", hint="danube jobs")
    return failed
