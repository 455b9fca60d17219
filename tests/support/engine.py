"""A running engine over the real store and logs and a fake machine, in real time: for concurrent events."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.keys.signing import SigningKeys
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.store import Database, SqliteSecrets
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.secrets.ports import SecretStore
from danube_pkg.kit.clock import Clock, SystemClock
from danube_pkg.services.jobs.coordination import Coordination
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.provenance.exports import JobExports
from danube_pkg.services.provenance.statements import Statements
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Hang, plays
from tests.fakes.runtime import FakeRuntime
from tests.fakes.sources import FakeSources
from tests.services.stores import UnrulyJobs, open_database
from tests.support.parts import COORDINATOR, engine_on, fake_runtime, limited_to, store_on

_ids = itertools.count()


class CountingSecrets(Secrets):
    """Counts in `forget_rounds` how often the engine had replaced values forgotten; a list of one number."""

    def __init__(self, store: SecretStore, keys: Keys, clock: Clock, new_id: Callable[[], str]) -> None:
        super().__init__(store, keys, clock, new_id, KnownValues())
        self.forget_rounds = [0]

    async def forget_retired(self, before: float) -> None:
        await super().forget_retired(before)
        self.forget_rounds[0] += 1


@dataclass(slots=True)
class EngineSetup:
    """The engine and its parts. forget_rounds: see CountingSecrets."""

    path: Path
    database: Database
    jobs: UnrulyJobs
    machine: FakeMachine
    sources: FakeSources
    logs: FileJobLogs
    secrets: Secrets
    keys: Keys
    engine: Engine
    resources: JobResources
    coordination: Coordination
    applied: AppliedConfiguration
    statements: Statements
    exports: JobExports
    signing: SigningKeys
    forget_rounds: list[int]
    parts: EngineParts

    def limit(self, jobs: int) -> None:
        """So many jobs may run at the same time from now on."""
        self.applied.replace(State(ConfigSpec(max_concurrent_jobs=jobs)), Applied())


@asynccontextmanager
async def open_engine_setup(
    path: Path,
    machine: FakeMachine | None = None,
    *,
    keep_pods: bool = False,
    signing: SigningKeys | None = None,
    external_url: str = "",
) -> AsyncIterator[EngineSetup]:
    """An engine that runs until the block is left; another one on the same path and machine is a restarted server. Its
    coordinators hang unless `machine.commands` has another program for them. signing: made below `path` where it is not
    given."""
    machine = machine or FakeMachine()
    machine.commands.setdefault(COORDINATOR, plays(Hang()))
    clock, keys = SystemClock(), Keys(bytes(32))

    def new_id() -> str:
        return f"id-{next(_ids):06}"

    async with open_database(path) as database:
        jobs, logs = UnrulyJobs(database), FileJobLogs(path / "logs", clock.now)
        secrets = CountingSecrets(SqliteSecrets(database), keys, clock, new_id)
        store = store_on(database, path, clock, new_id, keys=keys, jobs=jobs, signing=signing)
        applied = limited_to(4)
        runtime = fake_runtime(path, FakeRuntime(machine))
        sources = FakeSources()
        parts = engine_on(store, applied, runtime, sources, secrets=secrets, logs=logs, external_url=external_url)
        engine, coordination = parts.engine, parts.coordination
        async with engine.running():
            yield EngineSetup(
                path,
                database,
                jobs,
                machine,
                sources,
                logs,
                secrets,
                keys,
                engine,
                parts.work.resources,
                coordination,
                applied,
                parts.provenance.statements,
                parts.provenance.exports,
                store.signing,
                secrets.forget_rounds,
                parts,
            )
        logs.abandon()
        for pod_id in [] if keep_pods else list(machine.pods):
            machine.delete_pod(pod_id)
    assert not machine.defects
