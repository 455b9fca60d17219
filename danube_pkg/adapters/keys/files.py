"""The files of keys: private to the server's user, and never made anew beside a database that knows them."""

import os
import stat
from pathlib import Path

from danube_pkg.core.errors import Permanent


def key_missing(path: Path, cause: str) -> Permanent:
    """The refusal to continue without a key that a used data directory needs: a new one would be another key."""
    return Permanent(
        "key-missing",
        f"there is no {path}",
        cause=cause,
        hint=f"restore {path} from a backup, with its owner and mode 0600; is a volume not mounted?",
    )


def check_private(path: Path, cause: str) -> None:
    """Raises Permanent for a file that other users can read. cause: what a user who reads it could do."""
    state = path.stat()
    if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
        raise Permanent(
            "key-readable",
            f"{path} is readable by other users (mode {stat.S_IMODE(state.st_mode):04o}, owner {state.st_uid})",
            cause=cause,
            hint=f"chown {os.geteuid()} {path} && chmod 600 {path}",
        )
