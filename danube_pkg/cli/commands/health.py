"""`danube health`: each subsystem of the server, since when it is as it is, why, and what fixes it; exit code 1 while
the server is not ready."""

import argparse
from collections.abc import Mapping
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import ago, one_line, painted, print_json, say
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import Forbidden, Unauthenticated


def arguments(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    ready = client.get("/health/ready", accept=(503,))
    try:
        repairs = client.get("/api/v1/system")["repairs"]
    except (Forbidden, Unauthenticated):  # sentences and repairs are for administrators
        repairs = []
    found = {**ready, "repairs": repairs}
    if options.json:
        print_json(found)
    else:
        _print(found)
    return 0 if ready["status"] == "ready" else 1


def _print(found: Mapping[str, Any]) -> None:
    say(f"the server is {found['status'].replace('-', ' ')}")
    for part in found["parts"]:
        why = f": {one_line(part['reason'])}" if part["reason"] else ""
        mark = painted("ok  ", "32") if part["ok"] else painted("FAIL", "31")
        say(f" {part['part']}, since {ago(part['since'])}{why}", lead=mark)
        if part["hint"]:
            say(f"       hint: {one_line(part['hint'])}")
    for one in found["repairs"]:
        say(
            f"repaired {ago(one['at'])}: {one['repair']}, because of {one['why']}: {one['outcome']}, {one_line(one['what'])}"
        )
