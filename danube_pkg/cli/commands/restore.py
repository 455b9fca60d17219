"""`danube restore FILE --data DIR`: restore a backup into an empty directory, whose server starts paused."""

import argparse
from pathlib import Path

from danube_pkg.adapters.backups.encryption import Openers
from danube_pkg.cli.output import print_json, say
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.times import iso
from danube_pkg.ops.backup import restore


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument("--data", metavar="DIR", required=True, help="the directory to restore into, empty or new")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--identity-file", default="", metavar="I", help="the identity of age, or the SSH key, that opens it"
    )
    how.add_argument("--passphrase-file", default="", metavar="F", help="the file with the passphrase that opens it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    source, data = Path(options.file), Path(options.data)
    if not source.is_file():
        raise Invalid("backup-missing", f"there is no file {source}", hint="danube restore FILE --data DIR")
    done = restore(source, data, Openers(options.identity_file, options.passphrase_file), SystemClock())
    if options.json:
        print_json({"data": str(data), "created_at": iso(done.head.created_at), "ended_jobs": done.ended_jobs})
        return 0
    say(f"restored {done.counts.files} files of {iso(done.head.created_at)} into {data}")
    if done.ended_jobs:
        say(f"{done.ended_jobs} jobs that were running then have ended as infrastructure-lost")
    say(f"the server starts paused: danube serve --data {data}; check it, then: danube resume --data {data}")
    return 0
