"""`danube drain`: the server starts no new jobs, and the command waits until no job runs; until `danube resume`, over
restarts.

When the time is over it asks whether to cancel what still runs or to abort the drain; a script says so beforehand.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.durations import seconds
from danube_pkg.cli.output import print_json, say
from danube_pkg.cli.servers import add_server_arguments

TIMEOUT_SECONDS = 3600
"""An hour is the default limit of a job."""

POLL_SECONDS = 1.0

CANCEL_SECONDS = 120.0
"""How long cancelled jobs may take to end: a step has some seconds to stop, and its pod is removed after it."""

CANCEL, ABORT = "kill", "abort"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_SECONDS,
        metavar="TIME",
        help="how long to wait for running jobs: 90, 5m, 1h; 0 does not wait (1h)",
    )
    parser.add_argument(
        "--on-timeout",
        choices=(CANCEL, ABORT),
        help="what happens to jobs that run then: kill cancels them, abort ends the drain (asks; abort without a terminal)",
    )
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    state = client.post("/api/v1/system/drain")
    print_state(state, file=sys.stderr)
    left = _wait(client, options.timeout)
    if left and options.timeout:
        if _choice(options, left) == ABORT:
            print_state(client.post("/api/v1/system/resume"), file=sys.stderr)
            return _done(options, state, left, aborted=True)
        client.post("/api/v1/system/drain/cancel")
        left = _wait(client, CANCEL_SECONDS)
    return _done(options, state, left, aborted=False)


def print_state(state: Mapping[str, Any], *, file: Any = None) -> None:
    """Whether the server is draining."""
    if state["active"]:
        say(f"draining since {state['since']}, by {state['by']}; danube resume ends it", file=file)
    else:
        say("not draining; new jobs are started", file=file)


def _wait(client: ApiClient, limit_seconds: float) -> int:
    """How many jobs still have a pod when none has any more, or the time is over."""
    deadline, shown, named = time.monotonic() + limit_seconds, 0, set[str]()
    while True:
        system = client.get("/api/v1/system")
        phases: Mapping[str, int] = system["phases"]
        left = sum(count for phase, count in phases.items() if phase != "queued")
        if not left or time.monotonic() >= deadline:
            return left
        if left != shown:
            say(f"waiting for {_jobs(left)}", file=sys.stderr)
            shown = left
        for one in system.get("waiting_for_approval", ()):
            if one["job"] not in named:
                named.add(one["job"])
                say(_awaited(one), file=sys.stderr)
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _choice(options: argparse.Namespace, left: int) -> str:
    if options.on_timeout:
        return str(options.on_timeout)
    if not sys.stdin.isatty():
        return ABORT
    say(f"the time is over, and {_jobs(left)} still run", file=sys.stderr)
    answer = ""
    while answer not in (CANCEL, ABORT):
        answer = input(f"{CANCEL} them, or {ABORT} the drain? ").strip().lower()
    return answer


def _done(options: argparse.Namespace, state: Mapping[str, Any], left: int, *, aborted: bool) -> int:
    """The outcome; 0 where no job runs, or where the command was not to wait."""
    if options.json:
        print_json({**state, "active": not aborted, "running": left})
    elif aborted:
        say(f"the drain was aborted: {_jobs(left)} still run")
    elif left:
        say(f"{_jobs(left)} still run; the server can be stopped all the same: they continue under the next one")
    else:
        say("no job runs: it is safe to stop the server")
    return 1 if aborted or (left and options.timeout) else 0


def _awaited(one: Mapping[str, Any]) -> str:
    """A job for which the drain may wait for long."""
    what = (
        f"job {one['job']} of {one['pipeline']} waits for approval of {one['environment']}, until {one['expires_at']}"
    )
    return f"{what}; it continues under the next server too: danube approve {one['job']}"


def _jobs(count: int) -> str:
    return f"{count} job{'s' if count != 1 else ''}"
