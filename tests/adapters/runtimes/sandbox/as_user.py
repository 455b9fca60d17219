"""Runs a command as an ordinary user, without control groups and privileged mounts; with one id, or with subordinate
ids.

Directories that a test needs may not be readable for such a user (a Python below /root). The child gets a mount
namespace in which they are replaced by directories with what is needed, and in which the user has an account and, if
wanted, subordinate ids; nothing of this machine is changed. Where the tests run as an ordinary user already, the
command runs as it.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from build_steps.supervisor import build_supervisor

USER = 1234
FIRST_SUBORDINATE_ID = 0x6FFF0000
"""The range below the ids that root gives to pods, which no other user has."""

ROOT = Path(__file__).resolve().parents[4]
NEEDED = sorted({Path(sys.base_prefix), Path(sys.prefix), ROOT})


def closed_directory(path: Path) -> Path | None:
    """The outermost directory of a path that other users may not search; None if they can reach the path."""
    directories = [*reversed(path.parents), path]
    return next((one for one in directories if not one.stat().st_mode & stat.S_IXOTH), None)


def exposing_commands(needed: Sequence[Path]) -> str:
    """Shell commands that replace every closed directory by one that has only the needed paths, readable."""
    closed = {path: directory for path in needed if (directory := closed_directory(path)) is not None}
    lines = ["set -e", "mount -t tmpfs -o mode=755 none /mnt"]
    for number, path in enumerate(closed):
        lines += [f"mkdir /mnt/{number}", f"mount --bind {shlex.quote(str(path))} /mnt/{number}"]
    lines += [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(directory))}" for directory in set(closed.values())]
    for number, path in enumerate(closed):
        lines += [f"mkdir -p {shlex.quote(str(path))}", f"mount --bind /mnt/{number} {shlex.quote(str(path))}"]
    return "\n".join(lines)


def account_commands() -> str:
    """Shell commands that give the user an account and a range of ids, in this mount namespace alone."""
    account, ids = f"danube-test:x:{USER}:{USER}::/:/bin/sh", f"danube-test:{FIRST_SUBORDINATE_ID}:65536"
    return (
        f"{{ cat /etc/passwd; echo {account}; }} > /mnt/passwd; echo {ids} > /mnt/ids\n"
        "mount --bind /mnt/passwd /etc/passwd; mount --bind /mnt/ids /etc/subuid; mount --bind /mnt/ids /etc/subgid"
    )


def run_as_ordinary_user(
    words: Sequence[str],
    tree: Path | None = None,
    *,
    directory: Path | None = None,
    seconds: float = 300,
    subordinate_ids: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command as that user and return both outputs in one text.

    It runs in a new home, beside a copy of `tree`, or in `directory`. subordinate_ids: needs root to arrange.
    """
    for program in ("danube-step", "danube-ns"):
        build_supervisor(program)
    with tempfile.TemporaryDirectory(prefix="danube-user-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        if tree is not None:
            shutil.copytree(tree, home / tree.name)
        become = ""
        if os.geteuid() == 0:
            for path in (home, *home.rglob("*")):
                os.chown(path, USER, USER)
            become = f"exec setpriv --reuid {USER} --regid {USER} --clear-groups --"
            command = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c"]
            script = f"{exposing_commands(NEEDED)}\n{account_commands() if subordinate_ids else ''}\ncd {shlex.quote(str(directory or home))}\n{become} {shlex.join(words)}"
        else:
            command, script = ["/bin/sh", "-c"], f"cd {shlex.quote(str(directory or home))} && {shlex.join(words)}"
        return subprocess.run(
            [*command, script],
            env={
                "HOME": name,
                "TMPDIR": name,
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
