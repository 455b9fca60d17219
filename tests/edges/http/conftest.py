"""An API server for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.edges.http.api import Api, open_api


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(tmp_path) as made:
        yield made
