"""Runs image tests as an ordinary user whose pods have one id, and those about owners with subordinate ids."""

import sys
from collections.abc import Sequence

import pytest

from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user

LENT = (
    "tests/adapters/images/test_owners.py",
    "tests/adapters/images/test_workspace.py",
    "tests/adapters/images/test_containers.py",
    "tests/adapters/images/test_store.py",
    "tests/adapters/images/test_hostile_layers.py",
)
"""The tests whose code differs for owners in a user namespace."""


def run_suites(suites: Sequence[str], *, lent_ids: bool = False) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-x", *suites]
    done = run_as_ordinary_user(words, directory=ROOT, subordinate_ids=lent_ids)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.long
def test_images_work_without_root() -> None:
    run_suites(["tests/adapters/images"])


@pytest.mark.long
def test_images_have_their_owners_with_lent_ids() -> None:
    run_suites(LENT, lent_ids=True)
