"""A process lowers its own score where it may; each in a process of its own, whose children have the same."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.capabilities import may_lower_oom_score

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, sys
from danube_pkg.kit.oom_score import lower_oom_score, oom_score
if sys.argv[1] == "user":
    os.setresuid(1234, 1234, 1234)
before = oom_score()
print(lower_oom_score(before + 10), oom_score() == before, lower_oom_score(before - 10), oom_score() - before)
"""


def run(user: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, user], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_is_lowered_where_that_is_allowed_and_never_raised() -> None:
    assert run("self") == ("True True True -10" if may_lower_oom_score() else "True True False 0")


def test_an_ordinary_user_is_not_allowed() -> None:
    assert run("user" if os.geteuid() == 0 else "self") == "True True False 0"
