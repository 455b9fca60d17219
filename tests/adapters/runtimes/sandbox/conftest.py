"""A runtime for each test. The driver that repeats the suite as an ordinary user is for root only: another is that user."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.adapters.runtimes.sandbox.pods import Pods, open_pods

collect_ignore = [] if os.geteuid() == 0 else ["test_as_ordinary_user.py"]


@pytest_asyncio.fixture
async def pods(tmp_path: Path) -> AsyncIterator[Pods]:
    async with open_pods(tmp_path / "data") as made:
        yield made
