"""`danube cancel JOB`: cancel a job. Its commands get SIGTERM, then SIGKILL."""

import argparse
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import say, show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help=JOB_HELP)
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    job = client.post(f"/api/v1/jobs/{quote(job_id(client, options.job))}/cancel")
    return show(job, options, lambda job: say(f"job {job['id']} of {job['pipeline']} is being cancelled"))
