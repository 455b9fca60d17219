"""The same tests once more as an ordinary user: the sandbox must be as real without root."""

import sys
from collections.abc import Sequence

import pytest

from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user

EVERYDAY = (
    "tests/adapters/runtimes/sandbox/test_isolation.py",
    "tests/contract/test_real_containers.py",
    "tests/ops/test_doctor.py",
)
ALL = ("tests/adapters/runtimes/sandbox", "tests/contract", "tests/ops/test_doctor.py")


def test_the_sandbox_is_as_real_without_root() -> None:
    passes(EVERYDAY, lent_ids=False)


@pytest.mark.long
@pytest.mark.parametrize("lent_ids", [False, True])
def test_every_test_of_the_sandbox_passes_as_an_ordinary_user(lent_ids: bool) -> None:
    passes(ALL, lent_ids=lent_ids)


def passes(suites: Sequence[str], *, lent_ids: bool) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-x", *suites]
    done = run_as_ordinary_user(words, directory=ROOT, lent_ids=lent_ids)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
