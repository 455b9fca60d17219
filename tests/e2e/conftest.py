"""A Danube for each test, or one for the tests of a module that neither kill nor reconfigure it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from tests.support.server import FILES_TEST, Installation

collect_ignore = [] if os.geteuid() == 0 else ["test_installation.py"]
"""Only root can boot a system."""


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Build the programs where a server finds them."""
    for name in ("danube-step", "danube-ns"):
        build_supervisor(name)


@pytest.fixture
def danube(tmp_path: Path) -> Iterator[Installation]:
    yield from closing(Installation(tmp_path))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running server. Each test adds pipelines of its own."""
    made = Installation(tmp_path_factory.mktemp("shared"))
    made.add_settings(FILES_TEST)
    made.serve()
    yield from closing(made)


def closing(made: Installation) -> Iterator[Installation]:
    """Close the installation whether the test passed or not."""
    try:
        yield made
    finally:
        try:
            made.close()
        finally:
            made.abandon()
