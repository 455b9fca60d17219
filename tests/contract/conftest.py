"""The runtimes that the contract suite runs over. Another one, a cluster's, is one more parameter."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.sandbox.pods import Pods, open_pods


@pytest_asyncio.fixture(params=["sandbox"])
async def pods(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pods]:
    assert request.param == "sandbox"
    async with open_pods(tmp_path / "data") as made:
        yield made
