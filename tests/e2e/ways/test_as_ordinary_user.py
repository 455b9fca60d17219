"""Repeats the ways where the server is an ordinary user's: with one id for its pods, and with subordinate ids."""

import sys

import pytest

from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user

SECONDS = 900


@pytest.mark.long
@pytest.mark.parametrize("lent_ids", [False, True])
def test_every_way_is_refused_for_an_ordinary_user(lent_ids: bool) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-m", "long", "tests/e2e/ways/test_ways.py"]
    done = run_as_ordinary_user(words, directory=ROOT, seconds=SECONDS, subordinate_ids=lent_ids)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
