"""`danube logs JOB`: a job's log, or one step's output; with -f, live until the job ends."""

import argparse
import shutil
import sys
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_output import JsonPrinter, LivePrinter, print_end
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.kit.terminal import VisibleText

PART_BYTES = 64 * 1024
"""Read at once."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="until the job ends; exit code 0 if it succeeds, else 1"
    )
    parser.add_argument("--step", type=int, metavar="N", help="only the output of this step")
    parser.add_argument(
        "--raw", action="store_true", help="the bytes as they are; else control sequences but colours are made visible"
    )
    add_server_arguments(parser, json_help="with -f: print events as JSON lines")


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.follow:
        return follow_to_end(client, options.job, as_json=options.json, raw=options.raw)
    query = f"?step={options.step}" if options.step is not None else ""
    with client.open(f"/api/v1/jobs/{quote(options.job)}/log{query}") as response:
        if options.raw:
            shutil.copyfileobj(response, sys.stdout.buffer)
            return 0
        shown = VisibleText()
        while part := response.read(PART_BYTES):
            sys.stdout.write(shown.decoded(part))
        sys.stdout.write(shown.decoded(b"", final=True))
    return 0


def follow_to_end(client: ApiClient, job_id: str, *, as_json: bool, raw: bool = False) -> int:
    """Print a job's log as it grows; returns 0 if the job succeeded, else 1. Waits for a server that is restarted."""
    printer, events = LivePrinter(sys.stdout, raw=raw), JsonPrinter(sys.stdout)
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
