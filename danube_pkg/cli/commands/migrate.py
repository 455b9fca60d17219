"""`danube migrate`: bring the database of a stopped server up to this program's schema, as `danube serve` does when it
starts; with --check, say whether it has to."""

import argparse
import sqlite3
from pathlib import Path

from danube_pkg.adapters.store.copies import schema_of
from danube_pkg.adapters.store.database import Database, copy_name
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.bootstrap.keys import DATABASE_NAME
from danube_pkg.bootstrap.store import locked_data_directory
from danube_pkg.cli.output import print_json, say
from danube_pkg.cli.servers import data_directory
from danube_pkg.core.errors import Permanent


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 if the schema is an older one"
    )
    parser.add_argument(
        "--data", metavar="DIR", help="the data directory (DANUBE_DATA; else as other commands find it)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    data = data_directory(options.data)
    path, wanted = data / DATABASE_NAME, len(MIGRATIONS)
    if not path.is_file():
        raise Permanent("database-missing", f"there is no {path}", hint="name the server's data directory: --data DIR")
    if options.check:
        found = _schema(path)
        _show(options, found, wanted, f"schema {found}, this program has {wanted}")
        return 0 if found == wanted else 1
    with locked_data_directory(data):
        found = Database.migrate(path)
    copied = f"; the copy from before is {copy_name(path, found)}" if found < wanted else ""
    _show(
        options, found, wanted, f"schema {found} is now {wanted}{copied}" if copied else f"schema {wanted} is current"
    )
    return 0


def _schema(path: Path) -> int:
    try:
        found = schema_of(path)
    except sqlite3.Error as error:
        raise Permanent(
            "database-corrupt",
            f"{path} is not a usable database",
            cause=str(error),
            hint="restore a backup into an empty directory: danube restore FILE --data DIR",
        ) from error
    if found > len(MIGRATIONS):
        raise Permanent(
            "database-newer",
            f"{path} has schema {found}, this program knows up to {len(MIGRATIONS)}",
            hint="use the newer Danube that wrote it, or restore a backup: danube restore FILE --data DIR",
        )
    return found


def _show(options: argparse.Namespace, found: int, wanted: int, text: str) -> None:
    if options.json:
        print_json({"schema": found, "program": wanted})
    else:
        say(text)
