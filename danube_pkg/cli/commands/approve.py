"""`danube approve JOB COMMIT`: let a job of untrusted code run, for exactly the commit that was reviewed."""

import argparse
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Conflict

SHORTEST_COMMIT = 7
"""The fewest digits of a commit's hash: as many as Git shows."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help=JOB_HELP)
    parser.add_argument("commit", metavar="COMMIT", help="the commit that you have reviewed, or its first digits")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    job = job_id(client, options.job)
    path = f"/api/v1/jobs/{quote(job, safe='')}"
    commit = client.get(path)["trigger"]["commit_sha"]
    if commit is None:
        what = "the job's commit is not known yet"
        raise Conflict("commit-unknown", what, hint=f"danube explain {job}, then try again")
    if len(options.commit) < SHORTEST_COMMIT or not commit.startswith(options.commit.lower()):
        raise Conflict(
            "approval-of-another-commit",
            f"the job is for commit {commit}",
            hint=f"danube approve {job} {commit}",
        )
    approved = client.post(f"{path}/approve", {"commit_sha": commit})
    return show(approved, options, lambda job: say(f"job {job['id']} of {job['pipeline']} may run"))
