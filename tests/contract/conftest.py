"""The runtimes that the suites run over. A new one is one more name in each list that it belongs to."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.adapters.runtimes.sandbox.pods import Pods, open_pods
from tests.contract.pods import ContractPods, open_contract_pods

RUNTIMES = ["sandbox", "fake", "kubernetes"]
if "KUBECONFIG" in os.environ:
    RUNTIMES.append(pytest.param("real-cluster", marks=pytest.mark.long))  # type: ignore[arg-type]


@pytest_asyncio.fixture(params=RUNTIMES)
async def pods(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ContractPods]:
    """Pods of every runtime, for the contract of the port."""
    async with open_contract_pods(request.param, tmp_path / "data") as made:
        yield made


@pytest_asyncio.fixture(params=["sandbox"])
async def real_pods(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pods]:
    """Pods of runtimes whose containers hold real processes."""
    assert request.param == "sandbox"
    async with open_pods(tmp_path / "data") as made:
        yield made
