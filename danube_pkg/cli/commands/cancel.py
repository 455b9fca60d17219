"""`danube cancel JOB`: end a job; its commands get SIGTERM, then SIGKILL."""

import argparse
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    job = ApiClient(options).post(f"/api/v1/jobs/{quote(options.job)}/cancel")
    if options.json:
        print_json(job)
    else:
        print(f"job {job['id']} of {job['pipeline']} is being ended")
    return 0
