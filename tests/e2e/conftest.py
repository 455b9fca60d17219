"""One danube a test; it is closed whatever happened in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from tests.support.server import FILES_TEST, Installation


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """A server finds them where `make setup` puts them."""
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
    """Close it whatever happened in the test."""
    try:
        yield made
    finally:
        try:
            made.close()
        finally:
            made.abandon()
