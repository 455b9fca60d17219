"""One server of a simulation: the real services over the real store and logs, and a fake machine; it starts, serves
and crashes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.store import SqliteJobs
from danube_pkg.core.errors import PlatformError
from danube_pkg.kit.ids import sortable_id
from tests.fakes.connections import Boundary
from tests.fakes.machine import FakeMachine
from tests.fakes.runtime import FakeRuntime
from tests.fakes.sources import FakeSources
from tests.sim.crashing import CrashingDatabase, CrashingLogs
from tests.sim.faults import FaultPlan, ProcessCrashed, is_from_crashed_process
from tests.sim.signing import CrashingSigner
from tests.sim.virtual_time import VirtualClock
from tests.support.parts import COORDINATOR as COORDINATOR
from tests.support.parts import engine_on, fake_runtime, limited_to, store_on

MASTER_KEY = bytes(range(32))
MAX_CONCURRENT_JOBS = 2
END_SECONDS = 60.0
"""The tasks of a crashed server wait for nothing, so they end long before."""

Answer = TypeVar("Answer")


class ConnectionLost(Exception):
    """The connection to the server is lost; whether it has received the request is unknown."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The data directory, which outlives each server."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "danube.db"


class Server(Boundary):
    """A server process from `begin` to `crash`. Faults meet its calls to the machine; after a crash none gets
    through."""

    def __init__(self, directory: DataDirectory, machine: FakeMachine, faults: FaultPlan, ids: random.Random) -> None:
        self.faults = faults
        self.crashed = asyncio.Event()
        self.serves = asyncio.Event()
        self._disk = directory
        self._ids = ids
        self._clock = VirtualClock()
        self._calls: dict[asyncio.Task[object], None] = {}
        self._main: asyncio.Task[None] | None = None
        self.runtime = FakeRuntime(machine, self)
        self.machine = machine

    # --- start and end

    def begin(self) -> None:
        self._main = asyncio.get_running_loop().create_task(self._serve(), name="server")

    def build(self) -> None:
        directory, clock = self._disk, self._clock
        self.database = CrashingDatabase(directory.database, self)
        self.logs = CrashingLogs(FileJobLogs(directory.path / "logs", clock.now, clock.monotonic), self)
        jobs = SqliteJobs(self.database)
        keys, rng = Keys(MASTER_KEY), self._ids.random
        signing = CrashingSigner.of(directory.path / "keys", clock, self, self.machine.signed)
        store = store_on(
            self.database, directory.path, clock, self._new_id, keys=keys, jobs=jobs, signing=signing, randomness=rng
        )
        runtime = fake_runtime(directory.path, self.runtime)
        parts = engine_on(store, limited_to(MAX_CONCURRENT_JOBS), runtime, FakeSources(), logs=self.logs)
        self.jobs, self.pipelines = jobs, store.pipelines
        self.secrets, self.engine, self.coordination = parts.secrets, parts.engine, parts.coordination

    def _new_id(self) -> str:
        return sortable_id(self._clock.now(), self._ids.randbytes(10))

    async def _serve(self) -> None:
        self.build()
        async with self.engine.running():
            self.serves.set()
            await asyncio.Event().wait()

    @property
    def has_crashed(self) -> bool:
        return self.crashed.is_set()

    def crash(self) -> None:
        """As by `kill -9`: nothing that it still does has an effect."""
        if not self.has_crashed:
            self.crashed.set()
            self.runtime.drop()

    async def clean_up(self) -> None:
        """End the tasks of a crashed server and close its files."""
        assert self.has_crashed
        tasks = [task for task in (self._main, *self._calls) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=END_SECONDS)
            assert not left, f"tasks that do not end when they are cancelled: {left}"
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            expected = (
                error is None
                or is_from_crashed_process(error)
                or (task is not self._main and isinstance(error, PlatformError))
            )
            assert expected, f"the server ended with {error!r}"
        if hasattr(self, "logs"):
            self.logs.real.abandon()
        if hasattr(self, "database"):
            self.database.abandon()

    def leaks(self) -> list[str]:
        """What the server still holds in memory for closed jobs, as sentences; empty unless it leaks."""
        held = {
            "active jobs": self.engine.open_jobs,
            "jobs with tasks": self.engine.jobs_with_tasks,
            "open logs": self.logs.real._open,
            "saved states": self.jobs._saved,
        }
        return [f"the server still holds {what}: {value}" for what, value in held.items() if value]

    # --- the boundary

    def touch(self, what: str) -> None:
        if not self.has_crashed and self.faults.crashes_at(what):
            self.crash()
        if self.has_crashed:
            raise ProcessCrashed(what)

    async def cross(self, what: str) -> None:
        self.touch(what)
        delay = self.faults.delay(what)
        if delay:
            await asyncio.sleep(delay)
            self.touch(what)
        failure = None if what.startswith(("stream.close", "watch")) else self.faults.failure(what)
        if failure is not None:
            raise failure

    def tear_after(self) -> int | None:
        return self.faults.tear_after()

    # --- requests

    async def call(self, work: Callable[["Server"], Awaitable[Answer]]) -> Answer:
        """Run a request as an edge does. Raises ConnectionLost, and what the service raises."""
        if self.has_crashed or not self.serves.is_set():
            raise ConnectionLost

        async def answer() -> Answer:
            return await work(self)

        task = asyncio.get_running_loop().create_task(answer(), name="call")
        self._calls[task] = None
        task.add_done_callback(lambda done: self._calls.pop(done, None))
        crash_task = asyncio.get_running_loop().create_task(self.crashed.wait(), name="crash")
        try:
            await asyncio.wait((task, crash_task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            crash_task.cancel()
            if not task.done():
                task.cancel()
        if self.has_crashed or not task.done():
            raise ConnectionLost
        return task.result()
