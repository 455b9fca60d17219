"""`danube check-upgrade`: whether a server is ready for another version of Danube; exit code 1 if it is not."""

import argparse

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import painted, print_json, say
from danube_pkg.cli.servers import data_directory, local
from danube_pkg.kit.records import to_builtins
from danube_pkg.ops.check_upgrade import check_upgrade


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="the data directory (DANUBE_DATA; else as other commands find it)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    data = data_directory(options.data)
    client = ApiClient(options, server=local(data))
    found = check_upgrade(data, client.get)
    if options.json:
        print_json([to_builtins(one) for one in found])
    for one in found if not options.json else ():
        say(f" {one.name}: {one.what}", lead=painted("ok  ", "32") if one.ok else painted("FAIL", "31"))
        if one.hint:
            say(f"       hint: {one.hint}")
    return 0 if all(one.ok for one in found) else 1
