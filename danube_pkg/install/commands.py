"""Runs a program of the machine, and translates its failure."""

import subprocess
from collections.abc import Sequence

from danube_pkg.core.errors import HostLacks, Permanent
from danube_pkg.kit.records import Record

COMMAND_SECONDS = 300.0
"""A unit may take TimeoutStopSec, a migration of a large database minutes."""

MAX_PRINTED = 2000

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
}
"""Whatever the administrator's shell has."""

ROOT_CACHE, SERVER_CACHE = "/var/lib/danube-installation", "/var/cache"
"""Where a program of Danube unpacks itself, into `danube`. Each belongs to the user who runs it; both go with it."""


class CommandResult(Record):
    """code: the exit code. printed: both outputs."""

    code: int
    printed: str


def run_machine_command(*words: str, seconds: float = COMMAND_SECONDS, user: tuple[int, int] = (0, 0)) -> CommandResult:
    """Run it as (user, group). Raises HostLacks for a program that is missing, Permanent for one that does not end."""
    cache = ROOT_CACHE if user == (0, 0) else SERVER_CACHE
    if user != (0, 0):
        words = ("setpriv", f"--reuid={user[0]}", f"--regid={user[1]}", "--init-groups", "--", *words)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, "XDG_CACHE_HOME": cache},
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostLacks(
            "program-missing",
            f"{words[0]} is not installed",
            hint=f"install it, then continue: apt-get install {_PACKAGES.get(words[0], words[0])}",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Permanent(
            "command-too-slow",
            f"{' '.join(words)} has not ended after {seconds:.0f} s",
            hint="see what it waits for: systemctl list-jobs; journalctl -u danube",
        ) from error
    return CommandResult(done.returncode, done.stdout.decode(errors="replace").strip()[-MAX_PRINTED:])


def require_success(
    *words: str, hint: Sequence[str] = ("journalctl -u danube",), user: tuple[int, int] = (0, 0)
) -> str:
    """What it printed. Raises Permanent unless its exit code is 0."""
    done = run_machine_command(*words, user=user)
    if done.code != 0:
        raise Permanent(
            "command-failed",
            f"{' '.join(words)} ended with exit code {done.code}",
            cause=done.printed or "it printed nothing",
            hint="; ".join(hint),
        )
    return done.printed


_PACKAGES = {"systemctl": "systemd", "useradd": "passwd", "userdel": "passwd"}
