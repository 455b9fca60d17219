"""One server of a simulation: the real services over the real store and logs, and a fake machine; born, serving, dead."""

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
from tests.sim.fate import Fate, ProcessDied, is_of_the_dead
from tests.sim.mortal import MortalDatabase, MortalLogs
from tests.sim.virtual_time import VirtualClock
from tests.support.parts import COORDINATOR as COORDINATOR
from tests.support.parts import engine_on, fake_runtime, limited_to, store_on

MASTER_KEY = bytes(range(32))
MAX_CONCURRENT_JOBS = 2
END_SECONDS = 60.0
"""A dead server's tasks do not wait for anything, so they have ended long before."""

Answer = TypeVar("Answer")


class ServerLost(Exception):
    """The connection to the server is gone; whether it heard the question is not known."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What is there before the first server and after the last."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "danube.db"


class Server(Boundary):
    """From `begin` to `die`. Its calls cross the fate on the way to the machine; once it is dead nothing crosses."""

    def __init__(self, disk: Disk, machine: FakeMachine, fate: Fate, ids: random.Random) -> None:
        self.fate = fate
        self.died = asyncio.Event()
        self.serves = asyncio.Event()
        self._disk = disk
        self._ids = ids
        self._clock = VirtualClock()
        self._calls: dict[asyncio.Task[object], None] = {}
        self._main: asyncio.Task[None] | None = None
        self.runtime = FakeRuntime(machine, self)
        self.machine = machine

    # --- its life

    def begin(self) -> None:
        self._main = asyncio.get_running_loop().create_task(self._serve(), name="server")

    def build(self) -> None:
        disk, clock = self._disk, self._clock
        self.database = MortalDatabase(disk.database, self)
        self.logs = MortalLogs(FileJobLogs(disk.path / "logs", clock.now, clock.monotonic), self)
        jobs = SqliteJobs(self.database)
        keys, chance = Keys(MASTER_KEY), self._ids.random
        store = store_on(self.database, disk.path, clock, self._new_id, keys=keys, jobs=jobs, randomness=chance)
        runtime = fake_runtime(disk.path, self.runtime)
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
    def dead(self) -> bool:
        return self.died.is_set()

    def die(self) -> None:
        """As by `kill -9`: from here on nothing that it does reaches the world."""
        if not self.dead:
            self.died.set()
            self.runtime.drop()

    async def bury(self) -> None:
        """Clear away what is left of a dead server: its tasks and its open files."""
        assert self.dead
        tasks = [task for task in (self._main, *self._calls) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=END_SECONDS)
            assert not left, f"tasks that do not end when they are cancelled: {left}"
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            expected = (
                error is None or is_of_the_dead(error) or (task is not self._main and isinstance(error, PlatformError))
            )
            assert expected, f"the server ended with {error!r}"
        if hasattr(self, "logs"):
            self.logs.real.abandon()
        if hasattr(self, "database"):
            self.database.abandon()

    def what_it_still_holds(self) -> list[str]:
        """Of jobs that are closed: nothing, or memory grows for as long as a server lives."""
        held = {
            "active jobs": self.engine.open_jobs,
            "jobs with tasks": self.engine.jobs_with_tasks,
            "open logs": self.logs.real._open,
            "saved states": self.jobs._saved,
        }
        return [f"the server still holds {what}: {value}" for what, value in held.items() if value]

    # --- the boundary

    def touch(self, what: str) -> None:
        if not self.dead and self.fate.kills_at(what):
            self.die()
        if self.dead:
            raise ProcessDied(what)

    async def cross(self, what: str) -> None:
        self.touch(what)
        delay = self.fate.delay(what)
        if delay:
            await asyncio.sleep(delay)
            self.touch(what)
        failure = None if what.startswith(("stream.close", "watch")) else self.fate.failure(what)
        if failure is not None:
            raise failure

    def tear_after(self) -> int | None:
        return self.fate.tear_after()

    # --- who asks it something

    async def call(self, work: Callable[["Server"], Awaitable[Answer]]) -> Answer:
        """What an edge does with a request. Raises ServerLost, and whatever the service raises."""
        if self.dead or not self.serves.is_set():
            raise ServerLost

        async def answer() -> Answer:
            return await work(self)

        task = asyncio.get_running_loop().create_task(answer(), name="call")
        self._calls[task] = None
        task.add_done_callback(lambda done: self._calls.pop(done, None))
        death = asyncio.get_running_loop().create_task(self.died.wait(), name="death")
        try:
            await asyncio.wait((task, death), return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
            if not task.done():
                task.cancel()
        if self.dead or not task.done():
            raise ServerLost
        return task.result()
