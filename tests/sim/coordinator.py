"""The coordinator of a simulated job: what `danube_pkg/pod` does with a danubefile, as a coroutine over a plan.

Each call is repeated with the same sequence until a server answers it, also one whose answer was lost on the way.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from danube_pkg.core.errors import Permanent, Retryable
from danube_pkg.core.jobs.coordination import StepOutcome, StepRequest
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.backoff import Backoff
from danube_pkg.services.jobs.coordination import Coordination
from tests.fakes.processes import Process
from tests.sim.job_plans import JobPlan, Parallel, PrintText, ReadSecret, StepPlan, Upload
from tests.sim.server import ConnectionLost, Server
from tests.sim.virtual_time import EPOCH

FIRST_RETRY_SECONDS = 0.05
RETRY_CAP_SECONDS = 1.0
OPEN_STEP_SECONDS = 600

Answer = TypeVar("Answer")


class Outside(Protocol):
    """What a coordinator can reach outside of its pod."""

    @property
    def server(self) -> Server | None: ...
    @property
    def rng(self) -> random.Random: ...
    def loses_answer(self) -> bool: ...
    def check_output(self, job_id: str, sequence: int, outcome: StepOutcome) -> None: ...


class ScriptEnds(Exception):
    """Ends the pipeline function. `failure`: None if it returned."""

    def __init__(self, failure: ScriptFailure | None) -> None:
        super().__init__(failure)
        self.failure = failure


class Coordinator:
    """One run of one plan in one pod."""

    def __init__(self, state: Outside, plan: JobPlan, process: Process) -> None:
        self._world = state
        self._plan = plan
        self._process = process
        self._job_id = process.container.job_id
        self._deadline_at = 0.0
        self._values: dict[str, str] = {}
        self._leaves = plan.ending == "leaves"
        self._open: asyncio.Future[StepOutcome] | None = None

    async def run(self) -> int:
        """Run the plan; returns the exit code of the process."""
        try:
            return await self._run()
        except ScriptEnds:
            return 1
        finally:
            if self._open is not None:
                self._open.cancel()

    async def _run(self) -> int:
        context = await self._repeat(lambda service: service.context(self._job_id))
        self._deadline_at = context.deadline_at
        await self._repeat(self._take_source)
        try:
            await self._stages()
            failure = await self._ending()
        except ScriptEnds as end:
            failure = end.failure
            self._leaves = False
        except Permanent as error:
            failure = ScriptFailure(Reason.SCRIPT_ERROR, error.what)
        if self._leaves and failure is None:
            return 0
        await self._repeat(lambda service: service.finish(self._job_id, failure))
        return 0

    async def _ending(self) -> ScriptFailure | None:
        match self._plan.ending:
            case "raises":
                return ScriptFailure(Reason.SCRIPT_ERROR, "ValueError: as the author wanted it")
            case "leaves-open":
                sequence = await self._leave_a_step_open()
                return ScriptFailure(Reason.STEP_OPEN, f"step {sequence} was still open", sequence)
        return None

    async def _take_source(self, service: Coordination) -> None:
        async for _ in service.source(self._job_id):
            pass

    # --- the pipeline function

    async def _stages(self) -> None:
        sequence = secrets = uploads = 0
        for stage in self._plan.stages:
            match stage:
                case PrintText(text):
                    await self._process.write(text.format_map(self._values).encode())
                case ReadSecret(key):
                    secrets += 1
                    await self._read_secret(secrets, key)
                case Upload():
                    uploads += 1
                    await self._upload(uploads, stage)
                case Parallel(steps):
                    await self._steps(dict(enumerate(steps, sequence + 1)))
                    sequence += len(steps)

    async def _read_secret(self, sequence: int, key: str) -> None:
        value = await self._repeat(lambda service: service.read_secret(self._job_id, sequence, key))
        self._values[key] = value.decode()

    async def _upload(self, sequence: int, upload: Upload) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(upload.content), 700):
                await asyncio.sleep(0.001)
                yield upload.content[at : at + 700]

        await self._repeat(
            lambda service: service.receive_artifact(self._job_id, sequence, upload.name, upload.name, chunks())
        )

    async def _steps(self, steps: Mapping[int, StepPlan]) -> None:
        """Wait for all, also when one fails, then raise the first failure, as the SDK does."""
        works = [self._step(number, step) for number, step in steps.items()]
        outcomes = await asyncio.gather(*works, return_exceptions=True)
        for (sequence, step), outcome in zip(steps.items(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            if step.check and outcome.end.status is not Status.SUCCESS:
                raise ScriptEnds(ScriptFailure(Reason.STEP_FAILED, f"step {step.name} failed", sequence))

    async def _step(self, sequence: int, step: StepPlan) -> StepOutcome:
        request = StepRequest(
            sequence=sequence,
            name=step.name,
            command=self._plan.command(sequence),
            image=step.image,
            environment={key: self._values[key] for key in step.secrets},
            working_directory="/workspace",
            timeout_seconds=step.timeout_seconds,
            retries=step.retries,
            check=step.check,
        )
        outcome = await self._repeat(lambda service: service.run_step(self._job_id, request))
        self._world.check_output(self._job_id, sequence, outcome)
        return outcome

    async def _leave_a_step_open(self) -> int:
        """`step.start` without a `wait`, which the coordinator notices when the function returns."""
        sequence = sum(1 for _ in self._plan.steps()) + 1
        asked = asyncio.Event()
        request = StepRequest(sequence, "left open", self._plan.command(sequence), "", {}, "/workspace", 0, 0, True)

        async def ask(service: Coordination) -> StepOutcome:
            asked.set()
            return await service.run_step(self._job_id, request)

        self._open = asyncio.ensure_future(self._repeat(ask))
        await asked.wait()
        await asyncio.sleep(self._world.rng.choice([0.0, 5.0]))
        return sequence

    # --- calls

    async def _repeat(self, call: Callable[[Coordination], Awaitable[Answer]]) -> Answer:
        backoff = Backoff(FIRST_RETRY_SECONDS, RETRY_CAP_SECONDS, self._world.rng.random)
        while True:
            try:
                return await self._once(call)
            except (ConnectionLost, Retryable):
                if self._deadline_at and EPOCH + asyncio.get_running_loop().time() > self._deadline_at:
                    raise ScriptEnds(
                        ScriptFailure(Reason.SCRIPT_ERROR, "the server was unreachable too long")
                    ) from None
            await asyncio.sleep(backoff.next())

    async def _once(self, call: Callable[[Coordination], Awaitable[Answer]]) -> Answer:
        server = self._world.server
        if server is None:
            raise ConnectionLost

        async def work(server: Server) -> Answer:
            server.coordination.authenticate(self._process.container.token)
            return await call(server.coordination)

        answer = await server.call(work)
        if self._world.loses_answer():
            raise ConnectionLost
        return answer
