"""`danube approve JOB [COMMIT]`: approve what a job waits for.

A job of untrusted code waits before it starts, for exactly the commit that was reviewed: COMMIT. A job that runs waits
in its middle for an environment, such as production, which `--reject` refuses.
"""

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Conflict
from danube_pkg.core.reasons import Reason

SHORTEST_COMMIT = 7
"""The fewest digits of a commit's hash: as many as Git shows."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help=JOB_HELP)
    parser.add_argument(
        "commit",
        metavar="COMMIT",
        nargs="?",
        default="",
        help="for a job of untrusted code: the commit that you have reviewed, or its first digits",
    )
    parser.add_argument("--reject", action="store_true", help="reject the environment that the job waits for")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why you approve or reject the environment")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    job = job_id(client, options.job)
    path = f"/api/v1/jobs/{quote(job, safe='')}"
    found = client.get(path)
    waiting = next((one for one in found["approvals"] if one["state"] == "waiting"), None)
    if waiting is not None:
        return _decide(client, path, found, waiting, options)
    if options.reject or options.reason:
        raise Conflict(
            "environment-approval-not-needed",
            f"job {job} does not wait for approval of an environment",
            cause="--reject and --reason belong to one",
            hint=f"danube explain {job}; danube cancel {job} ends a job",
        )
    return _approve_commit(client, path, found, options)


def _decide(
    client: ApiClient, path: str, job: Mapping[str, Any], waiting: Mapping[str, Any], options: argparse.Namespace
) -> int:
    if options.commit:
        raise Conflict(
            "approval-of-environment",
            f"job {job['id']} waits for approval of the environment {waiting['environment']}, not of a commit",
            hint=f"danube approve {job['id']}",
        )
    body = {
        "sequence": waiting["sequence"],
        "decision": "reject" if options.reject else "approve",
        "reason": options.reason,
    }
    decided = client.post(f"{path}/environment", body)
    how = "rejected" if options.reject else "approved"
    text = f"{waiting['environment']} is {how} for job {job['id']} of {job['pipeline']}"
    return show(decided, options, lambda _: say(text))


def _approve_commit(client: ApiClient, path: str, job: Mapping[str, Any], options: argparse.Namespace) -> int:
    commit = job["trigger"]["commit_sha"]
    if job["reason"] != Reason.APPROVAL_REQUIRED and not options.commit:
        raise Conflict(
            "approval-not-needed", f"job {job['id']} does not wait for an approval", hint=f"danube explain {job['id']}"
        )
    if commit is None:
        what = "the job's commit is not known yet"
        raise Conflict("commit-unknown", what, hint=f"danube explain {job['id']}, then try again")
    if len(options.commit) < SHORTEST_COMMIT or not commit.startswith(options.commit.lower()):
        raise Conflict(
            "approval-of-another-commit",
            f"the job is for commit {commit}",
            cause="" if options.commit else "untrusted code is approved with the commit that was reviewed",
            hint=f"danube approve {job['id']} {commit}",
        )
    approved = client.post(f"{path}/approve", {"commit_sha": commit})
    return show(approved, options, lambda done: say(f"job {done['id']} of {done['pipeline']} may run"))
