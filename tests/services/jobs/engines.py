"""A running engine over the real store and logs and a fake machine, in real time: for what happens at once."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from danube_pkg.adapters.blobs.directory import ArtifactDirectory
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.store import Database, SqliteArtifacts, SqlitePipelines, SqliteSecrets
from danube_pkg.core.secrets.ports import SecretStore
from danube_pkg.kit.clock import Clock, SystemClock
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.jobs.coordination import Coordination
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.ports import EnginePorts, EngineSettings
from danube_pkg.services.jobs.steps import FollowerTools
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Hang, plays
from tests.fakes.runtime import FakeRuntime
from tests.fakes.sources import OneCommit
from tests.services.stores import UnrulyJobs, open_database

_ids = itertools.count()

COORDINATOR = "the coordinator's program"


class CountingSecrets(Secrets):
    """Counts how often the engine asked whether something can be forgotten."""

    def __init__(self, store: SecretStore, keys: Keys, clock: Clock, new_id: Callable[[], str]) -> None:
        super().__init__(store, keys, clock, new_id, KnownValues())
        self.looks = [0]

    async def forget_retired(self, before: float) -> None:
        await super().forget_retired(before)
        self.looks[0] += 1


@dataclass(slots=True)
class Hall:
    """Everything that a test may look into. `places`: how many jobs run at once; `looks`: see CountingSecrets."""

    path: Path
    database: Database
    jobs: UnrulyJobs
    machine: FakeMachine
    logs: FileJobLogs
    secrets: Secrets
    keys: Keys
    engine: Engine
    coordination: Coordination
    places: list[int]
    looks: list[int]


@asynccontextmanager
async def open_hall(path: Path, machine: FakeMachine | None = None, *, keep_pods: bool = False) -> AsyncIterator[Hall]:
    """An engine that runs until the block is left; one more on the same path and machine is a restarted server. Its
    coordinators hang unless the machine knows better."""
    machine = machine or FakeMachine()
    machine.commands.setdefault(COORDINATOR, plays(Hang()))
    runtime, clock, keys = FakeRuntime(machine), SystemClock(), Keys(bytes(32))
    places = [4]

    def new_id() -> str:
        return f"id-{next(_ids):06}"

    async with open_database(path) as database:
        jobs, logs = UnrulyJobs(database), FileJobLogs(path / "logs", clock.now)
        secrets = CountingSecrets(SqliteSecrets(database), keys, clock, new_id)
        pipelines = SqlitePipelines(database)
        ports = EnginePorts(jobs, pipelines, runtime, logs, keys, secrets, OneCommit(), clock, new_id)
        engine = Engine(ports, EngineSettings(lambda: places[0], COORDINATOR))
        artifacts = Artifacts(SqliteArtifacts(database), ArtifactDirectory(path / "artifacts"), clock, new_id)
        tools = FollowerTools(runtime, keys, clock)
        coordination = Coordination(engine, keys, runtime, secrets, artifacts, tools)
        async with engine.running():
            yield Hall(path, database, jobs, machine, logs, secrets, keys, engine, coordination, places, secrets.looks)
        logs.abandon()
        for job_id in [] if keep_pods else list(machine.pods):
            machine.delete_pod(job_id)
    assert not machine.defects
