"""A registry for the whole run, and an image service for each test. Tests about owners need more than one id."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.containers import ImagePods, open_image_pods
from tests.adapters.images.setup import ImageSetup, open_image_setup
from tests.adapters.runtimes.sandbox.pods import has_subordinate_ids
from tests.support.registry import Registry, serving

collect_ignore = (
    []
    if os.geteuid() == 0
    else ["test_as_ordinary_user.py", *(() if has_subordinate_ids() else ("test_owners.py", "test_workspace.py"))]
)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("registry") / "open") as running:
        yield running


@pytest.fixture(scope="session")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that requires an account."""
    with serving(tmp_path_factory.mktemp("registry") / "closed", account=True) as running:
        yield running


@pytest_asyncio.fixture
async def setup(tmp_path: Path, registry: Registry) -> AsyncIterator[ImageSetup]:
    async with open_image_setup(tmp_path / "setup", RegistrySpec(registry.host, insecure=True)) as made:
        yield made


@pytest_asyncio.fixture
async def image_pods(tmp_path: Path) -> AsyncIterator[ImagePods]:
    async with open_image_pods(tmp_path) as made:
        yield made
