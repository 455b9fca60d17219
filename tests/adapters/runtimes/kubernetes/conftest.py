"""The fake cluster of the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[FakeCluster]:
    async with open_cluster(tmp_path / "cluster") as opened:
        yield opened
