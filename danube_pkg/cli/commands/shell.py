"""`danube shell JOB`: a shell in the kept pod of a failed job. Without a terminal it runs commands from a pipe:
`echo ls | danube shell JOB`."""

import argparse
import os
import shutil
import sys
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import say
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.cli.shell_connection import ShellConnection


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help=JOB_HELP)
    parser.add_argument(
        "--step", type=int, default=0, metavar="NUMBER", help="in this step's container (the step that failed the job)"
    )
    parser.add_argument("--remove", action="store_true", help="remove the kept pod now, in place of a shell in it")
    add_server_arguments(parser, json_help="")


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    path = f"/api/v1/jobs/{quote(job_id(client, options.job), safe='')}"
    if options.remove:
        client.delete(f"{path}/pod")
        say("the kept pod is being removed")
        return 0
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    request: dict[str, object] = {"step": options.step}
    if has_terminal:
        size = shutil.get_terminal_size()
        request |= {"rows": size.lines, "columns": size.columns, "term": os.environ.get("TERM", "")}
    opened = client.post_once(f"{path}/shells", request)
    if has_terminal:
        where = f"step {opened['step']} {opened['step_name']!r} ({opened['image']})"
        say(f"{where}, until {opened['ends_at']}; it has no network and no secrets, and its output is masked")
    return ShellConnection(client, f"{path}/shells/{opened['id']}", has_terminal=has_terminal).run()
