"""`danube trigger PIPELINE`: start a job, and follow it to its end if asked to."""

import argparse
import sys

from danube_pkg.cli.client import ApiClient, key_values
from danube_pkg.cli.commands.logs import follow_to_end
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE")
    parser.add_argument("--ref", default="", help="a branch, a tag or a commit; the default branch if left out")
    parser.add_argument(
        "--param", action="append", default=[], metavar="K=V", help="a parameter; ctx.params in the danubefile"
    )
    parser.add_argument("--wait", action="store_true", help="print the log and end as the job ends: 0 or 1")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    body = {"ref": options.ref, "params": key_values(options.param, "param")}
    job = client.post(f"/api/v1/pipelines/{options.pipeline}/jobs", body)
    if options.json and not options.wait:
        print_json(job)
        return 0
    if not options.wait:
        print(job["id"])
        print(f"  follow it: danube logs -f {job['id']}", file=sys.stderr)
        return 0
    return follow_to_end(client, job["id"], as_json=options.json)
