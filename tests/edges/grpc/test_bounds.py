"""Whatever a coordinator sends, the server's memory (measured with each trick) and descriptors stay bounded, and each
refusal has its number."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.runtimes.pods import Container
from danube_pkg.edges.grpc import server as grpc_server
from danube_pkg.edges.grpc.calls import MAX_CALLS_OF
from danube_pkg.edges.grpc.server import CoordinatorServer
from danube_pkg.services.jobs.coordination import Coordination
from danube_pkg.services.jobs.step_memory import MAX_KEPT_REQUEST_BYTES
from tests.edges.grpc.hostile_coordinator import LARGE_STEP_BYTES
from tests.fakes.runtime import FakeRuntime
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.forked import fork_server
from tests.support.waiting import wait_until_async

_hostile = fork_server("tests.edges.grpc.hostile_coordinator")

MAX_GROWTH_BYTES = 50 * 1024**2
CONNECTIONS = 40


@dataclass
class Attacked:
    """A server with a running job, and what a hostile coordinator of it gets as answers."""

    engine: EngineSetup
    job_id: str
    socket: Path

    async def by(self, trick: str) -> tuple[Mapping[str, int], list[str]]:
        """How the calls ended, and the messages of the refusals. No trick may fill the server's memory."""
        before = memory_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
        found = await self.unmeasured(trick)
        assert memory_bytes("VmHWM") - before < MAX_GROWTH_BYTES
        return found

    async def unmeasured(self, trick: str) -> tuple[Mapping[str, int], list[str]]:
        token = self.engine.keys.job_token(self.job_id)
        variables = {"SOCKET": str(self.socket), "TOKEN": token, "TRICK": trick}
        process = await _hostile.start(variables, 1 << 16)
        try:
            report: Mapping[str, Any] = json.loads(await process.stdout.readline())
            ends: Mapping[str, int] = report["ends"]
            if trick == "steps":  # before the calls are cut off: every one that is open is stored
                await wait_until_async(lambda: self.stored() == ends["open"], 20, "each open call to be stored")
        finally:
            process.kill()
            await process.wait()
        return ends, report["messages"]

    def stored(self) -> int:
        """Steps of the job, without that of its source."""
        return len(self.engine.engine.active_job(self.job_id).job.steps) - 1


@pytest_asyncio.fixture
async def attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attacked]:
    """Its steps wait for a container for ever, so that their requests are kept."""

    async def never(runtime: FakeRuntime, pod_id: str, image: str, files: object = (), isolation: int = 0) -> Container:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async def endless(coordination: Coordination, job_id: str) -> AsyncIterator[bytes]:
        while True:
            yield bytes(256 * 1024)

    monkeypatch.setattr(FakeRuntime, "ensure_container", never)
    monkeypatch.setattr(Coordination, "source", endless)
    monkeypatch.setattr(grpc_server, "CONNECTIONS", CONNECTIONS)
    monkeypatch.setattr(grpc_server, "IDLE_MILLISECONDS", 5_000)
    directory = tmp_path / "grpc"
    directory.mkdir()
    async with (
        open_engine_setup(tmp_path) as engine,
        CoordinatorServer(engine.coordination).serving(directory),
    ):
        job = await engine.engine.submit(PIPELINE, Trigger("manual", "me"))
        await engine.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        made = Attacked(engine, job.id, directory / "coordinator.sock")
        await made.unmeasured("names")  # what is loaded and allocated once does not count as growth
        yield made


def memory_bytes(name: str) -> int:
    """VmRSS, or its peak VmHWM."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


async def test_open_steps_have_a_bound_together(attacked: Attacked) -> None:
    ends, messages = await attacked.by("steps")
    assert ends["RESOURCE_EXHAUSTED steps-too-large"] > 0
    assert f"more than {MAX_KEPT_REQUEST_BYTES} bytes" in "".join(messages)
    assert set(ends) == {"RESOURCE_EXHAUSTED steps-too-large", "open"}
    assert attacked.stored() == ends["open"] == MAX_KEPT_REQUEST_BYTES // LARGE_STEP_BYTES


async def test_every_text_has_a_bound(attacked: Attacked) -> None:
    ends, messages = await attacked.by("names")
    assert ends == {"RESOURCE_EXHAUSTED call-too-large": 9, "RESOURCE_EXHAUSTED": 1}
    wanted = ("the name of step", "the command and the environment of step", "the image of step", "the working directory of step",
              "the name of the secret", "the name of the artifact", "the file name")  # fmt: skip
    for field in wanted:
        assert any(message.startswith(field) and "allowed are" in message for message in messages), field
    assert len(attacked.engine.engine.active_job(attacked.job_id).job.steps) == 1


@pytest.mark.parametrize(("trick", "method"), [("sources", "FetchSource"), ("uploads", "UploadArtifact")])
async def test_streams_of_one_job_are_counted(attacked: Attacked, trick: str, method: str) -> None:
    ends, messages = await attacked.by(trick)
    assert ends["open"] == MAX_CALLS_OF[method]
    assert set(ends) == {"open", "RESOURCE_EXHAUSTED too-many-calls"}
    assert f"the job has {MAX_CALLS_OF[method]} calls of {method} open" in messages[0]


async def test_connections_are_bounded(attacked: Attacked) -> None:
    before = len(os.listdir("/proc/self/fd"))
    most = 0
    attack = asyncio.create_task(attacked.by("connections"), name="attack")
    while not attack.done():
        most = max(most, len(os.listdir("/proc/self/fd")) - before)
        await asyncio.wait((attack,), timeout=0.05)
    ends, _ = await attack
    assert ends.get("UNAUTHENTICATED job-token-missing", 0) > 0
    assert most <= CONNECTIONS + 10
