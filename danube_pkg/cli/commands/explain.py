"""`danube explain JOB`: why it waits, or why it failed, from what is seen to what is behind it; `--egress`: what it reached."""

import argparse
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.egress_output import print_ledger
from danube_pkg.cli.output import one_line, print_json
from danube_pkg.cli.servers import add_server_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--egress", action="store_true", help="what it reached and what it was refused")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    what = "egress" if options.egress else "explanation"
    found = ApiClient(options).get(f"/api/v1/jobs/{quote(options.job, safe='')}/{what}")
    if options.json:
        print_json(found)
        return 0
    if options.egress:
        print_ledger(found)
        return 0
    for line in filter(None, (found["about"], *found["lines"])):
        print(one_line(line))
    if found["hint"]:
        print(f"  hint: {one_line(found['hint'])}")
    return 0
