"""An API server for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.passwords import bcrypt_hashes
from tests.edges.http.api import Api, open_api


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of an unknown user's password takes a millisecond; by default it takes a quarter of a second."""
    monkeypatch.setattr(bcrypt_hashes, "UNKNOWN_PASSWORD", bcrypt_hashes.stand_in("$2b$04$"))


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(tmp_path) as made:
        yield made
