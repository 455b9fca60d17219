"""Repeats tests as an ordinary user: the sandbox must isolate as well without root."""

import sys
from collections.abc import Sequence

import pytest

from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user

ALL = ("tests/adapters/runtimes/sandbox", "tests/contract", "tests/ops/test_doctor.py")


@pytest.mark.long
@pytest.mark.parametrize("subordinate_ids", [False, True])
def test_every_test_of_the_sandbox_passes_as_an_ordinary_user(subordinate_ids: bool) -> None:
    passes(ALL, subordinate_ids=subordinate_ids)


def passes(suites: Sequence[str], *, subordinate_ids: bool) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-x", *suites]
    done = run_as_ordinary_user(words, directory=ROOT, subordinate_ids=subordinate_ids)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
