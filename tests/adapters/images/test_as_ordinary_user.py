"""Runs image tests as an ordinary user whose pods have one id, and those about owners with subordinate ids."""

import sys
from collections.abc import Sequence

import pytest

from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user

EVERYDAY = ("tests/adapters/images/test_containers.py",)
"""The tests whose code differs most without root; the others are about registries or refusals before unpacking."""

ROOT_INSIDE = ("tests/adapters/images/test_owners.py::test_root_in_a_container_may_change_owners",)
LENT = (
    "tests/adapters/images/test_owners.py",
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


@pytest.mark.slow("repeats a suite in a second pytest")
@pytest.mark.parametrize("suites", [EVERYDAY, pytest.param(("tests/adapters/images",), marks=pytest.mark.long)])
def test_images_work_without_root(suites: Sequence[str]) -> None:
    run_suites(suites)


@pytest.mark.parametrize("suites", [ROOT_INSIDE, pytest.param(LENT, marks=pytest.mark.long)])
def test_images_have_their_owners_with_lent_ids(suites: Sequence[str]) -> None:
    run_suites(suites, lent_ids=True)
