"""Jobs on a fake machine whose steps have snapshots."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.jobs.coordination import StepOutcome, StepRequest
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.requests import approve
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Process
from tests.fakes.runtime import fake_digest
from tests.services.jobs.test_coordination import asked
from tests.services.jobs.test_job_caches import MAIN
from tests.services.provenance.test_statements import ended
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup

IMAGE = "node:20"
END = b"<end>"
"""Without it an archive is incomplete, as the real one is without its last record."""

NPM = replace(asked("npm ci"), image=IMAGE, snapshot="lock-1")


@dataclass
class SnapshotSetup:
    """files: what the commands have left, by pod. runs: the commands that were run. code: of `danube-step apply`."""

    setup: EngineSetup
    machine: FakeMachine
    path: Path
    files: dict[str, bytes] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    apply_codes: list[int] = field(default_factory=list)
    capture_failure: bytes = b""
    held: asyncio.Event | None = None

    async def command(self, process: Process) -> int:
        self.runs.append(process.command)
        self.environments.append(process.environment)
        pod_id = process.container.pod_id
        self.files[pod_id] = (
            self.files.get(pod_id, b"") + f"[{process.command}]{process.environment.get('LOCK', '')}".encode()
        )
        await process.write(f"output of {process.command}\n".encode())
        return 3 if process.command == "false" else 0

    async def capture(self, process: Process) -> int:
        await process.write(b"ready\n")
        if not await process.read():
            return 0
        await process.write(self.files.get(process.container.pod_id, b""))
        if self.held is not None:
            await self.held.wait()
        await process.write(self.capture_failure or END)
        return 1 if self.capture_failure else 0

    async def apply(self, process: Process) -> int:
        content = b""
        while data := await process.read():
            content += data
        code = self.apply_codes.pop(0) if self.apply_codes else 0
        if not code and content.endswith(END):
            self.files[process.container.pod_id] = content.removesuffix(END)
        return code or (0 if content.endswith(END) else 1)

    async def start(self, revision: Revision, pull_request: Mapping[str, Any] | None = None, **settings: Any) -> Job:
        pipeline = replace(PIPELINE, settings=replace(PIPELINE.settings, **settings))
        job = await self.setup.engine.submit(pipeline, Trigger("webhook", "me", revision, pull_request=pull_request))
        if job.trigger.is_untrusted:
            await approve(self.setup.engine, job, revision.commit_sha, "admin")
        return await self.running(job)

    async def running(self, job: Job) -> Job:
        return await self.setup.engine.active_job(job.id).wait_until(lambda one: one.phase is Phase.RUNNING)

    async def run(self, job: Job, request: StepRequest = NPM) -> StepOutcome:
        return await self.setup.coordination.run_step(job.id, request)

    async def whole(
        self,
        revision: Revision = MAIN,
        pull_request: Mapping[str, Any] | None = None,
        request: StepRequest = NPM,
        **settings: Any,
    ) -> tuple[str, Job]:
        """A job with that one step, to its signed end: the job that the step was restored from, and the job."""
        job = await self.start(revision, pull_request, **settings)
        outcome = await self.run(job, request)
        return outcome.restored_from, await ended(self.setup, job.id)

    def log(self, job: Job) -> str:
        return (self.path / "logs" / f"{job.id}.log").read_text()

    def contents(self) -> list[Path]:
        return [one for one in (self.path / "caches").rglob("*") if one.is_file()]


@asynccontextmanager
async def open_snapshots(tmp_path: Path) -> AsyncIterator[SnapshotSetup]:
    """An engine with the images and commands of these tests."""
    machine = FakeMachine()
    for image in (IMAGE, "python:3.12"):
        machine.images |= {image, f"{image}@{fake_digest(image)}"}
    async with open_engine_setup(tmp_path, machine) as setup:
        made = SnapshotSetup(setup, machine, tmp_path)
        for command in ("npm ci", "npm ci --dev", "make", "false"):
            machine.commands[command] = made.command
        machine.commands["danube-step capture"] = made.capture
        machine.commands["danube-step apply"] = made.apply
        setup.applied.replace(State(ConfigSpec(max_caches_gb_per_pipeline=30, max_concurrent_jobs=50)), Applied())
        yield made
