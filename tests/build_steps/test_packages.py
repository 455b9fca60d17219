"""What make targets need of a Debian system is named and installed before they begin (O-26)."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT

SCRIPT = "build_steps/debian_packages.sh"
ABSENT = "danube-has-no-such-package"


def steps_of(target: str) -> list[list[str]]:
    """The words of each command that `make TARGET` would run on a fresh machine."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("target", "program", "packages"),
    [
        ("bench", "bench", {"docker-registry", "skopeo", "git", "chromium", "nginx-light"}),
        ("test", "pytest", {"docker-registry", "skopeo", "git", "busybox-static"}),
        ("e2e", "pytest", {"docker-registry", "chromium", "prometheus", "caddy"}),
        ("profile", "bench.profile", {"git", "gcc"}),
    ],
)
def test_the_packages_come_before_what_needs_them(target: str, program: str, packages: set[str]) -> None:
    steps = steps_of(target)
    checked = next(at for at, words in enumerate(steps) if SCRIPT in words)
    runs = next(at for at, words in enumerate(steps) if words[1:3] == ["-m", program])
    assert packages <= set(steps[checked])
    assert checked < runs


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    query = tmp_path / "dpkg-query"
    query.write_text('#!/bin/sh\nfor name; do :; done\n[ "$name" = git ] && echo installed\n')
    query.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "INSTALL": "0"}
    done = subprocess.run(["sh", SCRIPT, "git", ABSENT], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"Missing Debian packages: {ABSENT}\n  hint: sudo apt-get install {ABSENT}\n"
