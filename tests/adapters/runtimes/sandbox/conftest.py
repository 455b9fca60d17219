"""A runtime for each test. Only root repeats the suite as an ordinary user: every other user is one; and only root
gives ranges of user ids to pods, and makes control groups."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.adapters.runtimes.sandbox.pods import Pods, open_pods

FOR_ROOT = ["test_as_ordinary_user.py", "test_id_ranges.py", "test_process_ends.py", "test_unified_cgroups.py"]
collect_ignore = [] if os.geteuid() == 0 else FOR_ROOT


@pytest_asyncio.fixture
async def pods(tmp_path: Path) -> AsyncIterator[Pods]:
    async with open_pods(tmp_path / "data") as made:
        yield made
