"""A proxy setup for each test, and one certificate authority for all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.adapters.egress.certificates import Authority, make_authority
from tests.adapters.egress.proxies import NAMES, ProxySetup, open_proxies


@pytest_asyncio.fixture
async def setup(tmp_path: Path) -> AsyncIterator[ProxySetup]:
    async with open_proxies(tmp_path) as made:
        yield made
        logged = made.logged()
    assert logged == ""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), *NAMES, "127.0.0.1")
