"""The state of a run: one machine, one server after another, and users who start, cancel and read jobs."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from danube_pkg.core.errors import Conflict, NotFound, PlatformError, Retryable
from danube_pkg.core.jobs.coordination import StepOutcome
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.jobs.job import Job, step_id
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.reasons import Reason
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.services.jobs.follow import LogPart, follow_job
from danube_pkg.services.jobs.requests import start
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Hang, Process, plays
from tests.sim.coordinator import Coordinator
from tests.sim.crashing import CrashingProcess
from tests.sim.faults import FaultPlan, is_from_crashed_process
from tests.sim.job_plans import IMAGES, JobPlan
from tests.sim.scenarios import SECRETS, Scenario
from tests.sim.server import COORDINATOR, ConnectionLost, DataDirectory, Server
from tests.sim.virtual_time import VirtualLoop

LAST_SECONDS = 4 * 3600.0
"""Virtual time by which every job of a run has ended: several times the longest bound of a job."""

CLOSING_SECONDS = 120.0
"""Time after the last job in which a server frees what it held for jobs; its housekeeping has run once by then."""

Answer = TypeVar("Answer")


class SimulationState:
    """Everything that outlives a server. Coordinators see of it what `coordinator.Outside` has."""

    def __init__(self, scenario: Scenario, path: Path) -> None:
        self.scenario = scenario
        self.rng = random.Random(scenario.seed)
        self.directory = DataDirectory(path)
        self.machine = FakeMachine(bounds=scenario.bounds)
        self.faults = FaultPlan(
            random.Random(scenario.seed + 1),
            scenario.crashes,
            scenario.fault_rate,
            scenario.full,
            scenario.failing_commits,
            scenario.failing_calls,
        )
        self.plans = {plan.name: plan for plan in scenario.plans}
        self.server: Server | None = None
        self.servers: list[CrashingProcess] = []
        self.secrets: set[bytes] = set(SECRETS.values())
        self.accepted: dict[str, str] = {}
        self.cancelled: dict[str, Job] = {}
        self.killed_jobs: set[str] = set()
        self.viewed: dict[str, list[bytes]] = {}
        self.violations: list[str] = []
        self.trace: list[str] = []
        self._started_at_turn = 0
        self.machine.images |= set(IMAGES)
        self.machine.commands[COORDINATOR] = self._coordinate
        for plan in self.plans.values():
            self._register_commands(plan)

    def _register_commands(self, plan: JobPlan) -> None:
        last = 0
        for last, step in plan.steps():
            self.machine.commands[plan.command(last)] = step.behaviour()
        self.machine.commands[plan.command(last + 1)] = plays(Hang())

    async def _coordinate(self, process: Process) -> int:
        plan = self.plans[self.machine.pods[process.container.pod_id].spec.pipeline]
        try:
            return await Coordinator(self, plan, process).run()
        except PlatformError as error:
            await process.write(f"danube: {error}\n".encode())
            return 1

    def note(self, what: str) -> None:
        """Add a line to the trace, which is printed when the run is repeated by hand."""
        self.trace.append(f"{asyncio.get_running_loop().time():10.4f} {what}")

    # --- what coordinators see

    def loses_answer(self) -> bool:
        return self.faults.rng.random() < self.scenario.fault_rate * 0.1

    def check_output(self, job_id: str, sequence: int, outcome: StepOutcome) -> None:
        """Record a violation unless the result's output is the end of what the step printed, or is missing as
        announced."""
        printed = bytes(self.machine.printed.get((step_id(job_id, sequence), outcome.attempt), b""))
        if outcome.output is None:
            return
        if not printed.endswith(outcome.output):
            self.violations.append(f"{job_id} step {sequence}: the output of its result differs from what it printed")
        elif len(outcome.output) != len(printed) and not outcome.output_truncated:
            self.violations.append(
                f"{job_id} step {sequence}: the output of its result is cut without being marked as truncated"
            )

    # --- servers

    def on_turn(self, turn: int) -> None:
        """A server may crash between any two turns of the loop."""
        server, crashes = self.server, self.scenario.crashes
        if server is None or server.has_crashed:
            return
        starts = len(self.servers)
        after = crashes.turns_after_start
        due = starts <= len(after) and turn - self._started_at_turn >= after[starts - 1]
        if due or turn in crashes.turns:
            self.note("the server is killed")
            server.crash()

    async def keep_serving(self, loop: VirtualLoop) -> None:
        """Start the next server whenever one has crashed, as an init system does."""
        ids = random.Random(self.scenario.seed + 2)
        while True:
            server = Server(self.directory, self.machine, self.faults, ids)
            self.servers.append(server)
            self._started_at_turn = loop.turns
            self.server = server
            self.note(f"server {len(self.servers)} starts")
            server.begin()
            await server.crashed.wait()
            self.note(f"server {len(self.servers)} has crashed")
            self.server = None
            await server.clean_up()
            await asyncio.sleep(self.rng.uniform(0, self.scenario.downtime_seconds))

    # --- users

    async def _request(self, work: Callable[[Server], Awaitable[Answer]]) -> Answer:
        """Repeat the request until a server answers. Raises ConnectionLost where it is unknown whether one has
        received it."""
        while True:
            server = self.server
            if server is not None and not server.has_crashed and server.serves.is_set():
                try:
                    return await server.call(work)
                except Retryable:
                    self.note("a request is refused as retryable")
            await asyncio.sleep(0.5)

    async def submit(self, plan: JobPlan, at: float) -> None:
        await asyncio.sleep(at)
        while True:
            try:
                known = await self._request(lambda server: server.jobs.list_jobs(JobFilter(frozenset({plan.name}))))
                assert len(known) <= 1, f"{plan.name} was started {len(known)} times"
                job = known[0] if known else await self._request(lambda server: _start_job(server, plan))
            except ConnectionLost:
                await asyncio.sleep(0.1)
                continue
            self.note(f"{plan.name} is {job.id}")
            self.accepted[plan.name] = job.id
            return

    async def cancel(self, pipeline: str, at: float) -> None:
        await asyncio.sleep(at)
        job_id = await self._job_of(pipeline)
        while True:
            try:
                self.cancelled[job_id] = await self._request(lambda server: server.engine.cancel(job_id, "user"))
            except ConnectionLost:
                await asyncio.sleep(0.1)
                continue
            except Conflict as error:
                self.note(f"cancel of {job_id}: {error}")
            return

    async def _job_of(self, pipeline: str) -> str:
        while pipeline not in self.accepted:
            await asyncio.sleep(0.1)
        return self.accepted[pipeline]

    async def kill_container(self, at: float) -> None:
        await asyncio.sleep(at)
        living = [
            known
            for pod_id in sorted(self.machine.pods)
            for known in self.machine.living(pod_id)
            if known.container.number
        ]
        if living:
            killed = self.rng.choice(living)
            self.killed_jobs.add(killed.job_id)
            self.note(f"{killed.container} is killed")
            killed.end(Reason.POD_LOST, "killed by the simulation")

    async def rotate(self, at: float) -> None:
        """Change a secret once every job has been accepted: their danubefiles print the first value, which later jobs
        lack."""
        await asyncio.sleep(at)
        for name in self.plans:
            await self._job_of(name)
        value = b"rotated-%d-%d" % (round(at * 1000), self.rng.randrange(10**9))
        self.secrets.add(value)
        while True:
            try:
                await self._request(lambda server: server.secrets.set(SecretName(None, "TOKEN"), value, "user"))
            except ConnectionLost:
                await asyncio.sleep(0.1)
                continue
            return

    async def view(self, pipeline: str) -> None:
        """Follow a log to its end, continuing at the same offset after each lost connection."""
        job_id = await self._job_of(pipeline)
        parts = self.viewed.setdefault(job_id, [])
        while True:
            try:
                await self._request(lambda server: _follow(server, job_id, parts))
            except (ConnectionLost, NotFound):
                await asyncio.sleep(0.3)
                continue
            return

    # --- the run

    async def run(self, loop: VirtualLoop) -> None:
        loop.set_exception_handler(_ignore_crashed)
        await self._set_up_store()
        loop.on_turn(self.on_turn)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self.keep_serving(loop), name="init system")
            users = [group.create_task(work, name=str(work)) for work in self._users()]
            await asyncio.wait(users, timeout=LAST_SECONDS)
            await self._wait_closed()
            self.violations += [f"a user still waits: {one.get_name()}" for one in users if not one.done()]
            for task in (*users, serving):
                task.cancel()
        if self.server is not None:
            self.server.crash()
            await self.server.clean_up()

    def _users(self) -> list[Coroutine[Any, Any, None]]:
        scenario, spread = self.scenario, random.Random(self.scenario.seed + 3)
        return [
            *(self.submit(plan, spread.uniform(0, 3)) for plan in self.plans.values()),
            *(self.view(name) for name in self.plans for _ in range(scenario.viewers)),
            *(self.cancel(name, at) for name, at in scenario.cancels.items()),
            *(self.kill_container(at) for at in scenario.container_kills),
            *(self.rotate(at) for at in scenario.rotations),
        ]

    async def _set_up_store(self) -> None:
        """Write pipelines and secrets with a server of its own, before the first one that faults can reach."""
        server = Server(self.directory, self.machine, FaultPlan(random.Random(0)), random.Random(0))
        server.build()
        pipelines = [
            Pipeline(
                f"id-{plan.name}",
                plan.name,
                "team",
                PipelineSettings("repository", max_duration_seconds=plan.max_duration_seconds),
            )
            for plan in self.plans.values()
        ]
        await server.pipelines.apply_pipelines(pipelines, "revision")
        for key, value in SECRETS.items():
            await server.secrets.set(SecretName(None, key), value, "user")
        server.crash()
        await server.clean_up()

    async def _wait_closed(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < LAST_SECONDS:
            try:
                open_jobs = await self._request(lambda server: server.jobs.unfinished_jobs())
            except ConnectionLost:
                await asyncio.sleep(0.1)
                continue
            if not open_jobs:
                break
            await asyncio.sleep(1)
        else:
            self.violations.append("a job has not been closed")
        await asyncio.sleep(CLOSING_SECONDS)
        if self.server is not None and not self.server.has_crashed:
            self.violations += self.server.leaks()


async def _start_job(server: Server, plan: JobPlan) -> Job:
    return await start(server.engine, server.secrets, plan.name, actor="user")


async def _follow(server: Server, job_id: str, parts: list[bytes]) -> None:
    at = sum(map(len, parts))
    async with follow_job(server.engine, server.logs, job_id, at) as events:
        async for item in events:
            server.touch("viewer")
            if isinstance(item, LogPart):
                assert item.offset == at, f"a viewer at {at} was given {item.offset}"
                parts.append(item.data)
                at += len(item.data)


def _ignore_crashed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    if not isinstance(error, BaseException) or not is_from_crashed_process(error):
        loop.default_exception_handler(context)
