"""The first module of the released program, on systems with an older and a newer GNU C library than its files need."""

import subprocess
import sys
from pathlib import Path

import pytest

from build_steps.binary import start_text
from build_steps.elf import Glibc

SITE = """
def script():
    import sys
    print(sys.argv)
"""


def start(directory: Path, glibc: Glibc) -> "subprocess.CompletedProcess[str]":
    """The module as the stub starts it, with a command line that prints its words."""
    package = directory / "site" / "danube_pkg" / "cli"
    package.mkdir(parents=True)
    for place in (package, package.parent):
        (place / "__init__.py").touch()
    (package / "main.py").write_text(SITE)
    (directory / "start.py").write_text(start_text(glibc))
    words = [sys.executable, "-I", "-S", str(directory / "start.py"), "/opt/danube", "serve"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_an_older_system_gets_a_message_before_anything_is_loaded(tmp_path: Path) -> None:
    done = start(tmp_path, (99, 1))
    assert (done.returncode, done.stdout) == (1, "")
    assert "and this file needs 99.1\n  hint: use the zipapp" in done.stderr


@pytest.mark.parametrize("glibc", [(2, 4), (2, 28)])
def test_a_newer_one_starts(tmp_path: Path, glibc: Glibc) -> None:
    assert start(tmp_path, glibc).stdout == "['/opt/danube', 'serve']\n"
