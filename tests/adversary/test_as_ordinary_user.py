"""Repeats the batches as an ordinary user, whose pods have neither control groups nor file systems of their own."""

import sys

import pytest

from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user

SECONDS = 5400
"""Twenty batches on a busy machine; a quiet one takes a tenth."""


@pytest.mark.parametrize(
    "mark",
    [pytest.param("long", marks=pytest.mark.long), pytest.param("soak", marks=pytest.mark.soak)],
)
def test_every_batch_passes_as_an_ordinary_user(mark: str) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-m", mark, "tests/adversary/test_batches.py"]
    done = run_as_ordinary_user(words, directory=ROOT, seconds=SECONDS, subordinate_ids=True)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
