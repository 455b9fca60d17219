"""One world a test; it is closed whatever happened in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from tests.e2e.world import World


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """A server finds them where `make setup` puts them."""
    for name in ("danube-step", "danube-ns"):
        build_supervisor(name)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    try:
        yield made
    finally:
        try:
            made.close()
        finally:
            made.abandon()
