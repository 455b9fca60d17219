"""`danube cancel JOB`: cancel a job. Its commands get SIGTERM, then SIGKILL."""

import argparse
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    job = ApiClient(options).post(f"/api/v1/jobs/{quote(options.job)}/cancel")
    return show(job, options, lambda job: say(f"job {job['id']} of {job['pipeline']} is being cancelled"))
