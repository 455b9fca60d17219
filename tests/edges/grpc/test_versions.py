"""A coordinator of another release: its job ends with a reason of its own, and does not wait for its deadline."""

import asyncio
from pathlib import Path

import pytest
from danube._errors import DanubeError

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import HINTS, Reason, Status
from danube_pkg.core.runtimes.coordinator_protocol import COORDINATOR_PROTOCOL, SUPPORTED_PROTOCOLS
from danube_pkg.edges.grpc.server import CoordinatorServer
from danube_pkg.pod import client as coordinator_client
from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.server_connection import ServerConnection
from tests.services.stores import PIPELINE
from tests.support.engine import open_engine_setup


async def test_a_job_of_another_protocol_has_its_own_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator_client, "PROTOCOL_VERSION", 99)
    directory = tmp_path / "grpc"
    directory.mkdir()
    async with open_engine_setup(tmp_path) as setup, CoordinatorServer(setup.coordination).serving(directory):
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        active = setup.engine.active_job(job.id)
        await active.wait_until(lambda job: job.phase is Phase.RUNNING)
        connection = ServerConnection(f"unix:{directory}/coordinator.sock", setup.keys.job_token(job.id))
        client = CoordinatorClient(connection, "/workspace")
        with pytest.raises(DanubeError) as refused:
            await asyncio.to_thread(client.start)
        assert refused.value.reference == Reason.COORDINATOR_VERSION
        assert "danube image coordinator" in refused.value.hint
        assert (active.job.outcome, active.job.reason) == (Status.FAILURE, Reason.COORDINATOR_VERSION)
        assert "the coordinator 99" in active.job.message


def test_coordinator_and_server_of_one_release_fit() -> None:
    assert coordinator_client.PROTOCOL_VERSION == COORDINATOR_PROTOCOL
    assert COORDINATOR_PROTOCOL in SUPPORTED_PROTOCOLS
    assert HINTS[Reason.COORDINATOR_VERSION]
