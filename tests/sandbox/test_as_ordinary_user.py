"""The same tests once more as an ordinary user, who has one id, no control groups and nothing to stage with.

What the tests need may lie where such a user cannot go (a Python below /root). The child gets a mount namespace in which
those directories are empty but for what is needed; nothing of this machine is changed.
"""

import os
import shlex
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor

USER = 1234
ROOT = Path(__file__).resolve().parents[2]
NEEDED = sorted({Path(sys.base_prefix), Path(sys.prefix), ROOT})
SUITES = ("tests/sandbox", "tests/contract", "tests/ops/test_doctor.py")


def closed_directory(path: Path) -> Path | None:
    """The outermost directory on the way to `path` that others may not walk through."""
    ways = [*reversed(path.parents), path]
    return next((way for way in ways if not way.stat().st_mode & stat.S_IXOTH), None)


def opening(needed: list[Path]) -> str:
    """Shell commands that leave of every closed directory what is needed, reachable."""
    closed = {path: directory for path in needed if (directory := closed_directory(path)) is not None}
    lines = ["set -e", "mount -t tmpfs -o mode=755 none /mnt"]
    for number, path in enumerate(closed):
        lines += [f"mkdir /mnt/{number}", f"mount --bind {shlex.quote(str(path))} /mnt/{number}"]
    lines += [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(directory))}" for directory in set(closed.values())]
    for number, path in enumerate(closed):
        lines += [f"mkdir -p {shlex.quote(str(path))}", f"mount --bind /mnt/{number} {shlex.quote(str(path))}"]
    return "\n".join(lines)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of that user's, which pytest's own below a directory of root's cannot be."""
    with tempfile.TemporaryDirectory(prefix="danube-user-") as name:
        os.chown(name, USER, USER)
        yield Path(name)


def test_every_test_of_the_sandbox_passes_as_an_ordinary_user(home: Path) -> None:
    for program in ("danube-step", "danube-ns"):
        build_supervisor(program)
    suite = shlex.join([sys.executable, "-m", "pytest", "-q", "-x", "--basetemp", str(home / "tmp"), *SUITES])
    become = f"exec setpriv --reuid {USER} --regid {USER} --clear-groups --"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", f"{opening(NEEDED)}\n{become} {suite}"],
        cwd=ROOT,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
