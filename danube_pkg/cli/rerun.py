"""`danube rerun JOB`: the same commit and parameters again, and follow it to its end if asked to."""

import argparse
import sys
from urllib.parse import quote

from danube_pkg.cli.client import Client
from danube_pkg.cli.logs import follow_to_end
from danube_pkg.cli.output import print_json
from danube_pkg.cli.places import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--wait", action="store_true", help="print the log and end as the job ends: 0 or 1")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = Client(options)
    job = client.post(f"/api/v1/jobs/{quote(options.job, safe='')}/rerun")
    if options.wait:
        return follow_to_end(client, job["id"], as_json=options.json)
    if options.json:
        print_json(job)
        return 0
    print(job["id"])
    print(f"  follow it: danube logs -f {job['id']}", file=sys.stderr)
    return 0
