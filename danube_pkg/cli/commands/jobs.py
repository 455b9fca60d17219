"""`danube jobs`: jobs, newest first; with a job's id, the job and its steps. `danube jobs keep JOB`: its files stay,
whatever their age. `danube jobs export JOB`: what was sealed of it, for `danube verify --job`."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.file_output import copy_output
from danube_pkg.cli.job_names import job_id
from danube_pkg.cli.output import ago, duration, note_unknown, one_line, print_table, say, show, size
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Invalid

SEARCHED = 200
"""The newest jobs whose branches are known by name."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job",
        metavar="[keep|export] JOB",
        nargs="*",
        help="show this job with its steps; keep its log and artifacts; export its provenance, records, log and ledger",
    )
    parser.add_argument("--undo", action="store_true", help="with keep: remove its files when they are due")
    parser.add_argument("--output", metavar="FILE", help="with export: where to write it (standard output)")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--pipeline", help="only of this pipeline")
    parser.add_argument("--branch", help="only of this branch")
    parser.add_argument("--status", help="only with this status")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    match options.job:
        case []:
            return _list(client, options)
        case ["keep", job]:
            path = f"/api/v1/jobs/{quote(job_id(client, job))}/keep"
            return show(client.delete(path) if options.undo else client.put(path, b""), options, _print_kept)
        case ["export", job]:
            with client.open(f"/api/v1/jobs/{quote(job_id(client, job))}/export") as response:
                copy_output(options.output, response)
            return 0
        case [job]:
            path = f"/api/v1/jobs/{quote(job_id(client, job))}"
            artifacts = client.get(f"{path}/artifacts")["artifacts"]
            return show({**client.get(path), "artifacts": artifacts}, options, _print_one)
        case _:
            raise Invalid(
                "job-expected",
                f"{' '.join(options.job)!r} is not one job",
                hint="danube jobs JOB; danube jobs keep JOB; danube jobs export JOB --output FILE",
            )


def _list(client: ApiClient, options: argparse.Namespace) -> int:
    query = {"pipeline": options.pipeline, "branch": options.branch, "status": options.status}
    found = list(client.listed("/api/v1/jobs", "jobs", query, limit=options.limit))
    if not found and options.pipeline:
        client.get(f"/api/v1/pipelines/{quote(options.pipeline, safe='')}")  # its refusal of an unknown name
    if not found and options.branch:
        jobs = client.listed("/api/v1/jobs", "jobs", {"pipeline": options.pipeline}, limit=SEARCHED)
        note_unknown("branch", options.branch, [one["trigger"]["branch"] for one in jobs])
    return show(found, options, _print)


def _print(jobs: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            job["id"],
            job["pipeline"],
            job["status"],
            job["reason"],
            _source(job),
            ago(job["created_at"]),
            str(job["trigger"]["commit_message"]),
        )
        for job in jobs
    ]
    print_table(("JOB", "PIPELINE", "STATUS", "REASON", "SOURCE", "AGE", "COMMIT"), rows)


def _print_one(job: Mapping[str, Any]) -> None:
    trigger = job["trigger"]
    rows = [
        ("job", job["id"]),
        ("pipeline", job["pipeline"]),
        ("status", job["status"]),
        ("reason", job["reason"]),
        ("source", _source(job)),
        ("commit", trigger["commit_message"]),
        ("author", trigger["commit_author"]),
        ("at", job["commit_url"]),
        ("why", job["message"]),
        ("hint", job["hint"]),
        ("kept pod", f"until {job['kept_until']}: danube shell {job['id']}" if job["kept_until"] else ""),
    ]
    rows += [("parameter", f"{name}={value}") for name, value in trigger["params"].items()]
    rows += [("artifact", f"{one['name']} ({size(one['size_bytes'])})") for one in job["artifacts"]]
    for name, value in rows:
        if value:
            say(f"{name:<10}{one_line(value)}")
    steps = [
        (str(step["sequence"]), step["name"], step["status"], _took(step), step["message"]) for step in job["steps"]
    ]
    print_table(("STEP", "NAME", "STATUS", "TOOK", ""), steps)


def _print_kept(state: Mapping[str, Any]) -> None:
    removed = [name for name in ("log", "artifacts") if state[f"{name}_removed_at"]]
    if removed:
        say(f"removed already: {' and '.join(removed)}")
    say(f"kept by {state['kept_by']}" if state["kept_by"] else "not kept: its files are removed when they are due")


def _source(job: Mapping[str, Any]) -> str:
    trigger = job["trigger"]
    where = trigger["branch"] or trigger["tag"] or trigger["ref"]
    return " ".join(filter(None, (where, (trigger["commit_sha"] or "")[:10])))


def _took(step: Mapping[str, Any]) -> str:
    return duration(step["duration_seconds"]) if step["duration_seconds"] is not None else ""
