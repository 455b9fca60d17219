"""An artifact whose upload ends early is not kept: the coordinator sends it again, or has failed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.edges.grpc.server import CoordinatorServer
from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.server_connection import ServerConnection
from tests.services.stores import PIPELINE
from tests.support.engine import open_engine_setup

BROKEN = 20


async def test_an_upload_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "grpc"
    directory.mkdir()
    async with open_engine_setup(tmp_path) as setup, CoordinatorServer(setup.coordination).serving(directory):
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        token = setup.keys.job_token(job.id)
        client = CoordinatorClient(ServerConnection(f"unix:{directory}/coordinator.sock", token), "/workspace")

        def breaks() -> Iterator[bytes]:
            yield b"one " * 50_000
            raise OSError("the file is gone")

        for number in range(BROKEN):
            with pytest.raises(OSError, match="the file is gone"):
                await asyncio.to_thread(client.upload, number + 1, "a", "a", breaks)
        await asyncio.to_thread(client.upload, 99, "a", "a", lambda: iter([b"whole"]))
        (kept,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name == job.id]
        assert kept.read_bytes() == b"whole"
