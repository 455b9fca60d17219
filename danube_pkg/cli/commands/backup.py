"""`danube backup FILE`: back up a data directory, also while its server runs."""

import argparse
import sys
from pathlib import Path

from danube_pkg.cli.output import print_json, say, size
from danube_pkg.cli.servers import data_directory
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops.backup import INCLUDES, BackupOptions, back_up


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the backup; a file of that name is replaced once the new one is whole"
    )
    parser.add_argument(
        "--include", default="", metavar="logs,artifacts", help="back up these too (database and keys always are)"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--recipient", action="append", default=[], metavar="R", help="encrypt to this recipient of age, or SSH key"
    )
    how.add_argument("--passphrase-file", default="", metavar="F", help="encrypt with the passphrase in this file")
    parser.add_argument(
        "--data", metavar="DIR", help="the data directory (DANUBE_DATA; else as other commands find it)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    includes = tuple(sorted(word for word in options.include.split(",") if word))
    if wrong := [word for word in includes if word not in INCLUDES]:
        raise Invalid("include-unknown", f"{wrong[0]!r} cannot be included", hint=f"known are {', '.join(INCLUDES)}")
    target = Path(options.file)
    chosen = BackupOptions(includes, tuple(options.recipient), options.passphrase_file)
    done = back_up(data_directory(options.data), target, chosen, SystemClock())
    is_encrypted = bool(options.recipient or options.passphrase_file)
    if options.json:
        shown = {
            "file": str(target),
            "files": done.counts.files,
            "size_bytes": done.size_bytes,
            "schema": done.head.schema,
        }
        print_json({**shown, "includes": includes, "encrypted": is_encrypted})
    else:
        say(f"{target}: {done.counts.files} files, {size(done.size_bytes)}, verified")
    if not is_encrypted:
        say(
            f"danube: {target} is not encrypted and holds the server's keys: a reader can decrypt every secret\n"
            "  hint: keep it as you keep the keys, or encrypt it: --recipient age1…, --passphrase-file FILE",
            file=sys.stderr,
        )
    return 0
