"""The same tests once more as an ordinary user, whose pods have one id: all but those about owners."""

import sys
from collections.abc import Sequence

import pytest

from tests.sandbox.as_user import ROOT, run_as_ordinary_user

EVERYDAY = ("tests/images/test_containers.py", "tests/images/test_unpacking.py", "tests/images/test_store.py")
"""What is done in another way without root; the rest is asked of registries, or refused before anything is owned."""


@pytest.mark.parametrize("suites", [EVERYDAY, pytest.param(("tests/images",), marks=pytest.mark.long)])
def test_images_work_without_root(suites: Sequence[str]) -> None:
    done = run_as_ordinary_user([sys.executable, "-m", "pytest", "-q", "-x", *suites], directory=ROOT)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
