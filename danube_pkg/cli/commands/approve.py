"""`danube approve JOB COMMIT`: let strangers' code run; exactly the commit that you have looked at."""

import argparse
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Conflict

SHORTEST = 7
"""Digits of a commit's hash: what Git itself shows."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("commit", metavar="COMMIT", help="the commit that you have looked at, or its first digits")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    path = f"/api/v1/jobs/{quote(options.job, safe='')}"
    commit = client.get(path)["trigger"]["commit_sha"]
    if commit is None:
        raise Conflict(
            "commit-unknown", "the job's commit is not known yet", hint=f"danube explain {options.job}, then try again"
        )
    if len(options.commit) < SHORTEST or not commit.startswith(options.commit.lower()):
        raise Conflict(
            "approval-of-another-commit",
            f"the job is of commit {commit}",
            hint=f"danube approve {options.job} {commit}",
        )
    job = client.post(f"{path}/approve", {"commit_sha": commit})
    if options.json:
        print_json(job)
    else:
        print(f"job {job['id']} of {job['pipeline']} may run")
    return 0
