"""An API server for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.edges.http.api import Api, open_api


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect what only `make fuzz` and `make e2e` run only there: it costs seconds."""
    return True if collection_path.stem == "test_document_at_length" and config.option.markexpr == "not long" else None


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(tmp_path) as made:
        yield made
