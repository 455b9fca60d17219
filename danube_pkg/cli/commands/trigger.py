"""`danube trigger PIPELINE`: start a job, and with --wait follow it to its end."""

import argparse

from danube_pkg.cli.client import ApiClient, key_values
from danube_pkg.cli.commands.logs import follow_started
from danube_pkg.cli.commands.rerun import print_started
from danube_pkg.cli.output import show
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's name")
    parser.add_argument("--ref", default="", help="a branch, a tag or a commit (the default branch)")
    parser.add_argument(
        "--param", action="append", default=[], metavar="K=V", help="a parameter; ctx.params in the danubefile"
    )
    parser.add_argument("--wait", action="store_true", help="print the log; exit code 0 if the job succeeds, else 1")
    parser.add_argument("--raw", action="store_true", help="with --wait: keep control sequences other than colours")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    body = {"ref": options.ref, "params": key_values(options.param, "param")}
    job = client.post(f"/api/v1/pipelines/{options.pipeline}/jobs", body)
    if options.wait:
        return follow_started(client, job, as_json=options.json, raw=options.raw)
    return show(job, options, print_started)
