"""`danube explain`: why a job waits or failed, and what it reached; why a push has not started a pipeline; what a user
may do with one."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.egress_output import print_ledger
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import ago, one_line, say, show
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Invalid, NotFound
from danube_pkg.core.identity.access import Level, TeamRole
from danube_pkg.core.identity.access_explanation import TeamMembership, explain_access

READ_DELIVERIES = 200
"""The newest entries of the inbox in which a pipeline is looked up."""

SHOWN_DELIVERIES = 10

OF_FORGES = ("push", "tag", "pull_request")
"""Kinds of triggers whose events a forge sends."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help=JOB_HELP)
    parser.add_argument("--egress", action="store_true", help="show what the job reached and what it was refused")
    parser.add_argument("--pipeline", metavar="NAME", help="why this pipeline was started, or not, by what arrived")
    parser.add_argument(
        "--user", metavar="NAME", help="what this user may do with the pipeline, and through which team"
    )
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    if bool(options.job) == bool(options.pipeline) or (options.user and not options.pipeline):
        hint = "danube explain JOB, danube explain --pipeline NAME, danube explain --pipeline NAME --user NAME"
        raise Invalid("explain-what", "name a job, or a pipeline", hint=hint)
    client = ApiClient(options)
    if options.pipeline:
        found = _access(client, options) if options.user else _pipeline(client, options.pipeline)
        return show(found, options, _print)
    path = f"/api/v1/jobs/{quote(job_id(client, options.job), safe='')}"
    if options.egress:
        return show(client.get(f"{path}/egress"), options, print_ledger)
    return show(client.get(f"{path}/explanation"), options, _print)


def _print(found: Mapping[str, Any]) -> None:
    for line in filter(None, (found["about"], *found["lines"])):
        say(one_line(line))
    if found["hint"]:
        say(f"  hint: {one_line(found['hint'])}")


def _pipeline(client: ApiClient, name: str) -> Mapping[str, Any]:
    """What starts a pipeline, and what became of the last events."""
    pipeline = client.get(f"/api/v1/pipelines/{quote(name, safe='')}")
    lines = []
    if pipeline["removed"]:
        lines.append("The configuration no longer has it: nothing starts it.")
    lines += [f"It is started by {_lower(one['words'])}{_next(one)}." for one in pipeline["starts"]]
    if not pipeline["starts"]:
        lines.append("It has no triggers.")
    if pipeline["branch_filter"]:
        lines.append(f"Only for branches like: {', '.join(pipeline['branch_filter'])}.")
    deliveries = client.listed("/api/v1/deliveries", "deliveries", limit=READ_DELIVERIES)
    events = [line for one in deliveries for line in _event(one, name)][:SHOWN_DELIVERIES]
    lines += events or ["No event that concerns it has arrived lately."]
    hint = ""
    if not events and any(one["kind"] in OF_FORGES for one in pipeline["starts"]):
        hint = f"does the forge send events of {pipeline['repository']} here? danube deliveries; danube config status"
    return {"about": f"{name}, of {pipeline['repository']}", "lines": lines, "hint": hint}


def _lower(words: str) -> str:
    return f"{words[:1].lower()}{words[1:]}"


def _next(start: Mapping[str, Any]) -> str:
    return f", next at {start['next_at']}" if start["next_at"] else ""


def _event(delivery: Mapping[str, Any], pipeline: str) -> Sequence[str]:
    """The outcome of an event for a pipeline."""
    when = f"{ago(delivery['received_at'])} ago, {delivery['event']}:"
    if not delivery["settled_at"]:
        return (f"{when} it is being decided.",) if not delivery["outcomes"] else ()
    return tuple(
        f"{when} {one['result']}, {_job_or_why(one)}." for one in delivery["outcomes"] if one["pipeline"] == pipeline
    )


def _job_or_why(outcome: Mapping[str, Any]) -> str:
    return f"job {outcome['job']}" if outcome["job"] else str(outcome["why"])


def _access(client: ApiClient, options: argparse.Namespace) -> Mapping[str, Any]:
    """What a user may do with a pipeline. The caller must be allowed to list users."""
    user = next(
        (one for one in client.get("/api/v1/users")["users"] if options.user in (one["name"], one["email"])), None
    )
    if user is None:
        raise NotFound("user-unknown", f"there is no user {options.user!r}", hint="list them with: danube users list")
    pipeline = client.get(f"/api/v1/pipelines/{quote(options.pipeline, safe='')}")
    levels = {team: Level(level) for team, level in pipeline["levels"].items()}
    teams = [
        TeamMembership(one["name"], TeamRole(one["members"][user["email"]]), one["global_admin"])
        for one in client.get("/api/v1/teams")["teams"]
        if user["email"] in one["members"]
    ]
    lines = explain_access(user["name"], pipeline["name"], levels, teams)
    if user["removed"]:
        lines = ["The configuration no longer has this user, who can do nothing."]
    return {"about": f"{user['name']} ({user['email']}) and {pipeline['name']}", "lines": lines, "hint": ""}
