"""Parts of a server for tests: built by the composition root itself, over real files, with a fake machine for pods."""

import random
from collections.abc import Callable
from pathlib import Path

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.keys.signing import SigningKeys
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.store import Database, SqliteJobs, SqlitePipelines
from danube_pkg.bootstrap.engine import EngineParts, build_engine, build_masks, build_secrets
from danube_pkg.bootstrap.runtime import RuntimeParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.state import State
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.core.store import JobStore
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.loops import Timing
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.fakes.egress import NoProxies
from tests.fakes.machine import FakeMachine
from tests.fakes.runtime import FakeRuntime

COORDINATOR = "the coordinator's program"
"""What a fake machine runs as a job's coordinator."""


def store_on(
    database: Database,
    path: Path,
    clock: Clock,
    new_id: Callable[[], str],
    *,
    keys: Keys | None = None,
    jobs: JobStore | None = None,
    signing: SigningKeys | None = None,
    randomness: Callable[[], float] = random.random,
) -> Store:
    """A store without a lock. keys, signing: made below `path` where none are given; jobs: in place of the database's;
    randomness: for the pauses between retries."""
    return Store(
        path,
        Timing(clock, randomness),
        keys or Keys.open(path / "keys"),
        signing or SigningKeys.open(path / "keys", clock),
        database,
        new_id,
        jobs or SqliteJobs(database),
        SqlitePipelines(database),
    )


def limited_to(jobs: int) -> AppliedConfiguration:
    """A configuration under which so many jobs run at the same time."""
    return AppliedConfiguration(State(ConfigSpec(max_concurrent_jobs=jobs)))


def fake_runtime(path: Path, runtime: Runtime | None = None) -> RuntimeParts:
    """Pods of a fake machine, which is a new one where no runtime is given."""
    made = runtime or FakeRuntime(FakeMachine())
    return RuntimeParts(made, NoProxies(), FileLedgers(path / "logs"), None, COORDINATOR, ())


def engine_on(
    store: Store,
    applied: AppliedConfiguration,
    runtime: RuntimeParts,
    sources: Sources,
    *,
    secrets: Secrets | None = None,
    logs: JobLogs | None = None,
    external_url: str = "",
) -> EngineParts:
    """The engine with its parts; nothing runs yet."""
    secrets = secrets or build_secrets(store, applied, KnownValues())
    observer = JobObserver(applied, store.clock)
    logs = logs or FileJobLogs(store.directory / "logs", store.clock.now)
    return build_engine(store, secrets, build_masks(store, secrets), runtime, sources, observer, logs, external_url)
