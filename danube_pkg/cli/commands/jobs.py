"""`danube jobs`: what ran and what runs, newest first; with a job's id, its steps."""

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, duration, print_json, print_table
from danube_pkg.cli.servers import add_server_arguments

MESSAGE = 50
"""Letters of a commit's first line in a list: what Git advises it to have."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="one job, with its steps")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--pipeline", help="only of this pipeline")
    parser.add_argument("--status", help="only with this status")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.job:
        return _one(client.get(f"/api/v1/jobs/{quote(options.job)}"), as_json=options.json)
    query = {"pipeline": options.pipeline, "status": options.status}
    jobs = list(client.listed("/api/v1/jobs", "jobs", query, limit=options.limit))
    if options.json:
        print_json(jobs)
        return 0
    rows = [
        (job["id"], job["pipeline"], job["status"], job["reason"], _source(job), ago(job["created_at"]), _commit(job))
        for job in jobs
    ]
    print_table(("JOB", "PIPELINE", "STATUS", "REASON", "SOURCE", "AGE", "COMMIT"), rows)
    return 0


def _one(job: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(job)
        return 0
    head = (("job", job["id"]), ("pipeline", job["pipeline"]), ("status", job["status"]), ("reason", job["reason"]))
    trigger = job["trigger"]
    said = (("commit", trigger["commit_message"]), ("author", trigger["commit_author"]), ("at", job["commit_url"]))
    facts = [*head, ("source", _source(job)), *said, ("why", job["message"]), ("hint", job["hint"])]
    print_table(("", ""), facts)
    rows = [
        (str(step["sequence"]), step["name"], step["status"], _took(step), step["message"]) for step in job["steps"]
    ]
    print_table(("STEP", "NAME", "STATUS", "TOOK", ""), rows)
    return 0


def _source(job: Mapping[str, Any]) -> str:
    trigger = job["trigger"]
    where = trigger["branch"] or trigger["tag"] or trigger["ref"]
    return " ".join(filter(None, (where, (trigger["commit_sha"] or "")[:10])))


def _commit(job: Mapping[str, Any]) -> str:
    """Its first line, as much of it as a list has room for."""
    text = str(job["trigger"]["commit_message"])
    return text if len(text) <= MESSAGE else f"{text[: MESSAGE - 1]}…"


def _took(step: Mapping[str, Any]) -> str:
    return duration(step["duration_seconds"]) if step["duration_seconds"] is not None else ""
