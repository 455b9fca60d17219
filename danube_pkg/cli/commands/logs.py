"""`danube logs JOB`: a job's log as it is, of one step if asked, or live to the job's end."""

import argparse
import shutil
import sys
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_output import JsonPrinter, LivePrinter, print_end
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job ends; end as it does: 0 or 1")
    parser.add_argument("--step", type=int, metavar="N", help="only what this step printed")
    parser.add_argument("--json", action="store_true", help="with -f: print events as JSON lines")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.follow:
        return follow_to_end(client, options.job, as_json=options.json)
    query = f"?step={options.step}" if options.step is not None else ""
    with client.open(f"/api/v1/jobs/{quote(options.job)}/log{query}") as response:
        shutil.copyfileobj(response, sys.stdout.buffer)
    return 0


def follow_to_end(client: ApiClient, job_id: str, *, as_json: bool) -> int:
    """Print a job's log as it grows; 0 when it ended green, 1 otherwise. A restarted server is waited for."""
    printer, events = LivePrinter(sys.stdout), JsonPrinter(sys.stdout)
    job = None
    for event in client.follow(f"/api/v1/jobs/{quote(job_id)}/events"):
        if event.name in ("job", "snapshot"):
            job = event.data
        if as_json:
            events.event(event.name, event.data)
        elif event.name == "log":
            printer.text(event.data["text"])
    printer.close()
    if job is None:
        return 1
    if as_json:
        return 0 if job["status"] == "success" else 1
    return print_end(job)
