"""The same tests once more as an ordinary user: the sandbox must be as real without root."""

import sys

import pytest

from tests.sandbox.as_user import ROOT, run_as_ordinary_user

SUITES = ("tests/sandbox", "tests/contract", "tests/ops/test_doctor.py")


@pytest.mark.parametrize("lent_ids", [False, pytest.param(True, marks=pytest.mark.long)])
def test_every_test_of_the_sandbox_passes_as_an_ordinary_user(lent_ids: bool) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-x", *SUITES]
    done = run_as_ordinary_user(words, directory=ROOT, lent_ids=lent_ids)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
