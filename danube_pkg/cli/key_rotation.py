"""`danube secrets rotate-key`, which imports what opens a data directory."""

import argparse
import asyncio
import getpass
import sys

from danube_pkg.adapters.keys.keys import KEY_NAME
from danube_pkg.cli.output import print_json, say
from danube_pkg.cli.servers import data_directory
from danube_pkg.kit.clock import SystemClock
from danube_pkg.ops.rotate_key import rotate_encryption_key


def rotate_key(options: argparse.Namespace) -> int:
    """Rotate the key of the data directory that the options name."""
    data = data_directory(options.data)
    done = asyncio.run(rotate_encryption_key(data, f"user {getpass.getuser()}", SystemClock()))
    if options.json:
        print_json({"encrypted": done.count, "fingerprint": done.fingerprint})
        return 0
    say(f"{data / 'keys' / KEY_NAME} is new; values encrypted again: {done.count}")
    say(
        "danube: backups and copies of the database from before can still be decrypted with the former key in them\n"
        "  hint: make a backup now (danube backup FILE), and remove the older ones",
        file=sys.stderr,
    )
    return 0
