"""The state of a run: one machine, servers one after the other, people who start, cancel and read jobs."""

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
from tests.sim.fate import Fate, is_of_the_dead
from tests.sim.mortal import Mortal
from tests.sim.plans import IMAGES, JobPlan
from tests.sim.scenarios import SECRETS, Scenario
from tests.sim.server import COORDINATOR, Disk, Server, ServerLost
from tests.sim.virtual_time import VirtualLoop

LAST_SECONDS = 4 * 3600.0
"""Virtual time by which every job of a run has ended: the longest bound of a job several times over."""

CLOSING_SECONDS = 120.0
"""After its last job a server forgets what it held on their behalf; its housekeeping has come round once by then."""

Answer = TypeVar("Answer")


class World:
    """What a coordinator sees of it is `coordinator.Surface`."""

    def __init__(self, scenario: Scenario, path: Path) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario.seed)
        self.disk = Disk(path)
        self.machine = FakeMachine(bounds=scenario.bounds)
        self.fate = Fate(
            random.Random(scenario.seed + 1),
            scenario.deaths,
            scenario.trouble,
            scenario.full,
            scenario.failing_commits,
            scenario.failing_calls,
        )
        self.plans = {plan.name: plan for plan in scenario.plans}
        self.server: Server | None = None
        self.servers: list[Mortal] = []
        self.secrets: set[bytes] = set(SECRETS.values())
        self.accepted: dict[str, str] = {}
        self.cancelled: dict[str, Job] = {}
        self.murdered: set[str] = set()
        self.viewed: dict[str, list[bytes]] = {}
        self.complaints: list[str] = []
        self.story: list[str] = []
        self._born_at_turn = 0
        self.machine.images |= set(IMAGES)
        self.machine.commands[COORDINATOR] = self._coordinate
        for plan in self.plans.values():
            self._teach(plan)

    def _teach(self, plan: JobPlan) -> None:
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
        """A line of the run's story, which is printed when it is run again by hand."""
        self.story.append(f"{asyncio.get_running_loop().time():10.4f} {what}")

    # --- what coordinators see

    def loses_answer(self) -> bool:
        return self.fate.chance.random() < self.scenario.trouble * 0.1

    def check_output(self, job_id: str, sequence: int, outcome: StepOutcome) -> None:
        """A result's output is the end of what the step printed, or it could not be kept."""
        printed = bytes(self.machine.printed.get((step_id(job_id, sequence), outcome.attempt), b""))
        if outcome.output is None:
            return
        if not printed.endswith(outcome.output):
            self.complaints.append(f"{job_id} step {sequence}: its result has another output than it printed")
        elif len(outcome.output) != len(printed) and not outcome.output_truncated:
            self.complaints.append(f"{job_id} step {sequence}: its result lacks output and does not say so")

    # --- servers

    def on_turn(self, turn: int) -> None:
        """A server may die between any two turns of the loop."""
        server, deaths = self.server, self.scenario.deaths
        if server is None or server.dead:
            return
        births = len(self.servers)
        after = deaths.turns_after_start
        due = births <= len(after) and turn - self._born_at_turn >= after[births - 1]
        if due or turn in deaths.turns:
            self.note("the server is killed")
            server.die()

    async def keep_serving(self, loop: VirtualLoop) -> None:
        """What an init system does."""
        ids = random.Random(self.scenario.seed + 2)
        while True:
            server = Server(self.disk, self.machine, self.fate, ids)
            self.servers.append(server)
            self._born_at_turn = loop.turns
            self.server = server
            self.note(f"server {len(self.servers)} begins")
            server.begin()
            await server.died.wait()
            self.note(f"server {len(self.servers)} is dead")
            self.server = None
            await server.bury()
            await asyncio.sleep(self.chance.uniform(0, self.scenario.downtime))

    # --- people

    async def _ask(self, work: Callable[[Server], Awaitable[Answer]]) -> Answer:
        """Ask until a server answers. Raises ServerLost where it is not known whether the question was heard."""
        while True:
            server = self.server
            if server is not None and not server.dead and server.serves.is_set():
                try:
                    return await server.call(work)
                except Retryable:
                    self.note("a person is told to come again")
            await asyncio.sleep(0.5)

    async def submit(self, plan: JobPlan, at: float) -> None:
        await asyncio.sleep(at)
        while True:
            try:
                known = await self._ask(lambda server: server.jobs.list_jobs(JobFilter(frozenset({plan.name}))))
                assert len(known) <= 1, f"{plan.name} was started {len(known)} times"
                job = known[0] if known else await self._ask(lambda server: _submit(server, plan))
            except ServerLost:
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
                self.cancelled[job_id] = await self._ask(lambda server: server.engine.cancel(job_id, "somebody"))
            except ServerLost:
                await asyncio.sleep(0.1)
                continue
            except Conflict as error:
                self.note(f"cancel of {job_id}: {error}")
            return

    async def _job_of(self, pipeline: str) -> str:
        while pipeline not in self.accepted:
            await asyncio.sleep(0.1)
        return self.accepted[pipeline]

    async def murder(self, at: float) -> None:
        await asyncio.sleep(at)
        living = [
            known
            for pod_id in sorted(self.machine.pods)
            for known in self.machine.living(pod_id)
            if known.container.number
        ]
        if living:
            victim = self.chance.choice(living)
            self.murdered.add(victim.job_id)
            self.note(f"{victim.container} is killed")
            victim.end(Reason.POD_LOST, "somebody killed it")

    async def rotate(self, at: float) -> None:
        """Only when every job is there: their scripts print the first value, which a later job could not know."""
        await asyncio.sleep(at)
        for name in self.plans:
            await self._job_of(name)
        value = b"rotated-%d-%d" % (round(at * 1000), self.chance.randrange(10**9))
        self.secrets.add(value)
        while True:
            try:
                await self._ask(lambda server: server.secrets.set(SecretName(None, "TOKEN"), value, "somebody"))
            except ServerLost:
                await asyncio.sleep(0.1)
                continue
            return

    async def view(self, pipeline: str) -> None:
        """Read a log along, again from where it was lost, to its end."""
        job_id = await self._job_of(pipeline)
        parts = self.viewed.setdefault(job_id, [])
        while True:
            try:
                await self._ask(lambda server: _view(server, job_id, parts))
            except (ServerLost, NotFound):
                await asyncio.sleep(0.3)
                continue
            return

    # --- the run

    async def run(self, loop: VirtualLoop) -> None:
        loop.set_exception_handler(_ignore_the_dead)
        await self._prepare()
        loop.on_turn(self.on_turn)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self.keep_serving(loop), name="init system")
            people = [group.create_task(work, name=str(work)) for work in self._people()]
            await asyncio.wait(people, timeout=LAST_SECONDS)
            await self._wait_closed()
            self.complaints += [f"somebody still waits: {one.get_name()}" for one in people if not one.done()]
            for task in (*people, serving):
                task.cancel()
        if self.server is not None:
            self.server.die()
            await self.server.bury()

    def _people(self) -> list[Coroutine[Any, Any, None]]:
        scenario, spread = self.scenario, random.Random(self.scenario.seed + 3)
        return [
            *(self.submit(plan, spread.uniform(0, 3)) for plan in self.plans.values()),
            *(self.view(name) for name in self.plans for _ in range(scenario.viewers)),
            *(self.cancel(name, at) for name, at in scenario.cancels.items()),
            *(self.murder(at) for at in scenario.murders),
            *(self.rotate(at) for at in scenario.rotations),
        ]

    async def _prepare(self) -> None:
        """The pipelines and the secrets are there before the first server that something happens to."""
        server = Server(self.disk, self.machine, Fate(random.Random(0)), random.Random(0))
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
            await server.secrets.set(SecretName(None, key), value, "somebody")
        server.die()
        await server.bury()

    async def _wait_closed(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < LAST_SECONDS:
            try:
                open_jobs = await self._ask(lambda server: server.jobs.unfinished_jobs())
            except ServerLost:
                await asyncio.sleep(0.1)
                continue
            if not open_jobs:
                break
            await asyncio.sleep(1)
        else:
            self.complaints.append("a job has not been closed")
        await asyncio.sleep(CLOSING_SECONDS)
        if self.server is not None and not self.server.dead:
            self.complaints += self.server.what_it_still_holds()


async def _submit(server: Server, plan: JobPlan) -> Job:
    return await start(server.engine, plan.name, actor="somebody")


async def _view(server: Server, job_id: str, parts: list[bytes]) -> None:
    at = sum(map(len, parts))
    async with follow_job(server.engine, server.logs, job_id, at) as news:
        async for item in news:
            server.touch("viewer")
            if isinstance(item, LogPart):
                assert item.offset == at, f"a viewer at {at} was given {item.offset}"
                parts.append(item.data)
                at += len(item.data)


def _ignore_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    if not isinstance(error, BaseException) or not is_of_the_dead(error):
        loop.default_exception_handler(context)
