"""A coordinator's calls: repeated, interrupted, and over a restart of the server."""

import asyncio
from pathlib import Path

import pytest

from danube_pkg.adapters.logs.writer import StepWriter
from danube_pkg.core.errors import Conflict, Unauthenticated
from danube_pkg.core.jobs.coordination import StepOutcome, StepRequest
from danube_pkg.core.jobs.events import ScriptFailure
from danube_pkg.core.jobs.job import Job, Phase, step_id
from danube_pkg.core.jobs.steps import StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.jobs import follower, step_memory
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import EndContainer, Exit, Hang, Print, Process, Signal, Wait, attempts, plays
from tests.services.stores import PIPELINE
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async, wait_until_true

TRIGGER = Trigger("manual", "me")


def asked(command: str, sequence: int = 1, *, name: str = "step", retries: int = 0) -> StepRequest:
    return StepRequest(sequence, name, command, "", {}, "/workspace", 0, retries, True)


async def running_job(setup: EngineSetup) -> str:
    """A job whose coordinator hangs, so that the test calls in its place."""
    job = await setup.engine.submit(PIPELINE, TRIGGER)
    await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
    return job.id


async def closed(setup: EngineSetup, job_id: str) -> None:
    async def is_closed() -> bool:
        job = await setup.jobs.load_job(job_id)
        return job is not None and job.phase is Phase.CLOSED

    await wait_until_true(is_closed, 30, f"{job_id} to be closed")


async def test_a_step_ends_with_its_output_and_the_same_call_gives_it_again(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Print(b"made\n"), Exit(3))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        first = await setup.coordination.run_step(job_id, asked("make"))
        assert (first.end.status, first.end.exit_code, first.output) == (Status.FAILURE, 3, b"made\n")
        assert await setup.coordination.run_step(job_id, asked("make")) == first
        assert machine.starts[step_id(job_id, 1), 1] == 1
        with pytest.raises(Conflict, match="another content"):
            await setup.coordination.run_step(job_id, asked("make", name="another"))


async def test_the_shell_of_a_step_reaches_each_attempt_and_its_record(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Exit(3))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        await setup.coordination.run_step(job_id, replace(asked("make", retries=1), shell="bash -euo pipefail"))
        stored = await setup.jobs.load_job(job_id)
        assert stored is not None
        shells = [machine.steps[step_id(job_id, 1), attempt].request.shell for attempt in (1, 2)]
        assert [*shells, stored.steps[-1].shell] == ["bash -euo pipefail"] * 3


def has_started(job: Job) -> bool:
    step = job.step(1)
    return step is not None and step.phase is StepPhase.STARTED


async def test_a_stopped_step_has_ended_when_the_call_returns(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["serve"] = plays(Print(b"ready\n"), Hang())
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        with pytest.raises(Conflict, match="has no step 1"):
            await setup.coordination.stop_step(job_id, 1)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(setup.coordination.run_step(job_id, asked("serve")), name="step")
            await setup.engine.active_job(job_id).wait_until(has_started)
            await setup.coordination.stop_step(job_id, 1)
            await setup.coordination.stop_step(job_id, 1)
        end = running.result().end
        assert (end.status, end.reason) == (Status.CANCELLED, Reason.STOPPED)
        assert running.result().output == b"ready\n"
        await setup.coordination.finish(job_id, None)
        await closed(setup, job_id)
        stored = await setup.jobs.load_job(job_id)
        assert stored is not None
        assert stored.status is Status.SUCCESS
        assert [(step.sequence, step.stopping) for step in stored.steps] == [(0, False), (1, True)]


async def test_a_steps_command_knows_its_job_and_its_own_variables_win(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Exit(0))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        own = replace(asked("make"), environment={"DANUBE_BRANCH": "mine"})
        await setup.coordination.run_step(job_id, own)
        found = machine.steps[step_id(job_id, 1), 1].request.environment
        assert (found["DANUBE_JOB_ID"], found["DANUBE_BRANCH"]) == (job_id, "mine")


@pytest.mark.parametrize(
    ("retries", "check", "line"),
    [
        (0, True, ": was ended by SIGSEGV\n"),
        (1, True, ": was ended by SIGSEGV (attempt 1 of 2)\n"),
        (0, False, ": was ended by SIGSEGV (not checked: the job continues)\n"),
    ],
)
async def test_the_line_of_an_end_names_the_signal_and_whether_it_counts(
    tmp_path: Path, retries: int, check: bool, line: str
) -> None:
    machine = FakeMachine()
    machine.commands["crash"] = plays(Signal(11))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        await setup.coordination.run_step(job_id, replace(asked("crash", retries=retries), check=check))
        log = setup.logs.path(job_id)
        await wait_until_async(lambda: line in log.read_text(), 10, "the line of the end")


async def test_a_job_whose_log_was_lost_before_a_restart_is_not_green(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Print(b"made\n"))
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        job_id = await running_job(setup)
        await setup.coordination.run_step(job_id, asked("make"))
    for file in (tmp_path / "logs").iterdir():
        file.unlink()
    async with open_engine_setup(tmp_path, machine) as setup:
        await setup.coordination.finish(job_id, None)
        await closed(setup, job_id)
        job = await setup.jobs.load_job(job_id)
        assert job is not None
        assert (job.status, job.reason) == (Status.FAILURE, Reason.LOG_LOST)
        assert "log-lost: earlier lines of this log are gone" in setup.logs.path(job_id).read_text()


async def test_a_step_that_fails_on_a_full_disk_says_so(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Exit(1))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        machine.pods[setup.engine.active_job(job_id).job.pod_id].workspace_full = "its workspace holds 9 MB"
        end = (await setup.coordination.run_step(job_id, asked("make"))).end
        assert (end.status, end.reason) == (Status.FAILURE, Reason.WORKSPACE_FULL)
        assert end.message == "failed when the disk was full: its workspace holds 9 MB"


async def test_a_step_that_prints_nothing_has_an_empty_output(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["true"] = plays()
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        job_id = await running_job(setup)
        assert (await setup.coordination.run_step(job_id, asked("true"))).output == b""
    async with open_engine_setup(tmp_path, machine) as setup:
        assert (await setup.coordination.run_step(job_id, asked("true"))).output == b""


async def test_a_log_shows_an_end_only_when_it_is_stored(tmp_path: Path) -> None:
    """If the server is killed before, the record may be lost, and the step gets its next attempt."""
    continues = asyncio.Event()

    async def make(process: Process) -> int:
        await continues.wait()
        await process.write(b"made\n")
        return 0

    machine = FakeMachine()
    machine.commands["make"] = make
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        call = asyncio.create_task(setup.coordination.run_step(job_id, asked("make")), name="call")
        await setup.engine.active_job(job_id).wait_until(
            lambda job: [step.phase for step in job.steps[1:]] == [StepPhase.STARTED]
        )
        setup.jobs.hold()
        continues.set()
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the end's commit")
        log = setup.logs.path(job_id).read_text()
        assert ("made\n" in log, "--- step 1 success" in log) == (True, False)
        setup.jobs.release()
        assert (await call).end.status is Status.SUCCESS
        await wait_until_async(lambda: "--- step 1 success" in setup.logs.path(job_id).read_text(), 10, "its last line")


async def test_kept_outputs_are_bounded_and_the_others_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_memory, "MAX_KEPT_OUTPUT_BYTES", 3000)
    machine = FakeMachine()
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        outputs = {number: b"%d" % number * 1000 for number in range(1, 10)}
        for number, output in outputs.items():
            machine.commands[f"print {number}"] = plays(Print(output))
            outcome = await setup.coordination.run_step(job_id, asked(f"print {number}", number))
            assert outcome.output == output
        memory = setup.engine.active_job(job_id).steps
        assert memory.kept_output_bytes <= 3000
        assert [memory.request_of(number) for number in outputs] == [None] * len(outputs)
        for number, output in outputs.items():
            assert (await setup.coordination.run_step(job_id, asked(f"print {number}", number))).output == output


@pytest.mark.parametrize(
    ("line", "turn_seconds", "turn"),
    [(b"eyJ", 3600.0, True), (b"line\n", 0.0, True), (b"line\n", 3600.0, False)],
    ids=["takes long", "has taken long", "is quick"],
)
async def test_other_tasks_run_between_parts_of_output_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, turn_seconds: float, turn: bool
) -> None:
    part = 32 * 1024
    monkeypatch.setattr(follower, "FEED_BYTES", part)
    monkeypatch.setattr(follower, "TURN_SECONDS", turn_seconds)
    fed: list[tuple[int, int]] = []
    turns = 0
    loop = asyncio.get_running_loop()
    next_turn: asyncio.Handle | None = None
    write = StepWriter.write

    async def counted(writer: StepWriter, offset: int, data: bytes | memoryview) -> None:
        fed.append((len(data), turns))
        await write(writer, offset, data)

    def take_turn() -> None:
        nonlocal turns, next_turn
        turns += 1
        next_turn = loop.call_soon(take_turn)

    take_turn()
    monkeypatch.setattr(StepWriter, "write", counted)
    machine = FakeMachine()
    output = line * 40_000 + b"\n"
    machine.commands["print"] = plays(Print(output))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        outcome = await setup.coordination.run_step(job_id, asked("print"))
        if next_turn is not None:
            next_turn.cancel()
    assert outcome.output == output
    assert sum(size for size, _ in fed) == len(output)
    turns_of_parts = [at for size, at in fed if size == part]
    assert len(turns_of_parts) >= 3
    assert (len(set(turns_of_parts)) == len(turns_of_parts)) == turn


async def test_a_lost_attempt_has_no_output_of_the_one_before(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["flaky"] = attempts(
        plays(Print(b"first\n"), Exit(1)),
        plays(Print(b"second\n"), Wait(0.05), EndContainer(Reason.EVICTED, "evicted")),
    )
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        outcome: StepOutcome = await setup.coordination.run_step(job_id, asked("flaky", retries=1))
        assert (outcome.attempt, outcome.end.reason, outcome.output) == (2, Reason.EVICTED, None)


async def test_a_repeated_call_is_the_same_though_a_secret_was_read_in_between(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["deploy"] = plays()
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        request = asked("deploy", name="deploy to correct-horse")
        first = await setup.coordination.run_step(job_id, request)
        await setup.secrets.set(SecretName(None, "HOST"), b"correct-horse", "me")
        assert await setup.coordination.read_secret(job_id, 1, "HOST") == b"correct-horse"
        assert await setup.coordination.run_step(job_id, request) == first
        later = asked("deploy", 2, name="again to correct-horse")
        await setup.coordination.run_step(job_id, later)
        assert [step.name for step in setup.engine.active_job(job_id).job.steps[1:]] == [
            "deploy to correct-horse",
            "again to ***",
        ]


async def test_text_from_a_pod_is_redacted_before_it_is_stored(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"correct-horse", "me")
        job_id = await running_job(setup)
        failure = ScriptFailure(Reason.SCRIPT_ERROR, "no login with correct-horse")
        await setup.coordination.finish(job_id, failure)
        await closed(setup, job_id)
        job = await setup.jobs.load_job(job_id)
        assert job is not None
        assert (job.reason, job.message) == (Reason.SCRIPT_ERROR, "no login with ***")
        assert b"correct-horse" not in setup.logs.path(job_id).read_bytes()


async def test_a_stop_after_a_restart_also_logs_the_last_output(tmp_path: Path) -> None:
    """The new server does not have the step's command, and the coordinator has not repeated its call."""

    async def polite(process: Process) -> int:
        await process.write(b"begun\n")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await process.write(b"and my last words\n")
            raise
        return 0

    machine = FakeMachine()
    machine.commands["polite"] = polite
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        job_id = await running_job(setup)
        call = asyncio.create_task(setup.coordination.run_step(job_id, asked("polite")), name="call")
        await wait_until_async(lambda: b"begun" in setup.logs.path(job_id).read_bytes(), 10, "its first output")
        await end_all(call)
    async with open_engine_setup(tmp_path, machine) as setup:
        await setup.engine.cancel(job_id, "me")
        await closed(setup, job_id)
        log = setup.logs.path(job_id).read_text()
    assert log.count("begun\n") == log.count("and my last words\n") == 1
    assert machine.starts[step_id(job_id, 1), 1] == 1


async def test_a_step_that_no_supervisor_knows_waits_for_the_repeated_call(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["make"] = plays(Print(b"made\n"))
    async with open_engine_setup(tmp_path, machine, keep_pods=True) as setup:
        job_id = await running_job(setup)
        setup.jobs.hold()
        call = asyncio.create_task(setup.coordination.run_step(job_id, asked("make")), name="call")
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the step's commit")
        await end_all(call)
    assert not machine.starts[step_id(job_id, 1), 1]
    async with open_engine_setup(tmp_path, machine) as setup:
        outcome = await setup.coordination.run_step(job_id, asked("make"))
        assert (outcome.end.status, outcome.output) == (Status.SUCCESS, b"made\n")
    assert machine.starts[step_id(job_id, 1), 1] == 1


async def test_a_token_is_valid_until_its_job_ends(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        job_id = await running_job(setup)
        token = setup.keys.job_token(job_id)
        assert setup.coordination.authenticate(token) == job_id
        with pytest.raises(Unauthenticated):
            setup.coordination.authenticate(token + "x")
        with pytest.raises(Unauthenticated):
            setup.coordination.authenticate(setup.keys.job_token("another"))
        await setup.engine.cancel(job_id, "me")
        await closed(setup, job_id)
        with pytest.raises(Unauthenticated, match="has ended"):
            setup.coordination.authenticate(token)


async def test_an_ending_job_rejects_secrets_and_steps(tmp_path: Path) -> None:
    machine = FakeMachine()
    machine.commands["hang"] = plays(Hang())
    async with open_engine_setup(tmp_path, machine) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"correct-horse", "me")
        job_id = await running_job(setup)
        step = asyncio.create_task(setup.coordination.run_step(job_id, asked("hang")), name="step")
        await wait_until_async(lambda: machine.starts[step_id(job_id, 1), 1], 10, "the step")
        setup.jobs.hold()
        cancelling = asyncio.create_task(setup.engine.cancel(job_id, "me"), name="cancel")
        await wait_until_async(lambda: setup.jobs.waiting, 10, "the cancel's commit")
        setup.jobs.release()
        await cancelling
        with pytest.raises(Conflict, match="secrets cannot be read"):
            await setup.coordination.read_secret(job_id, 1, "TOKEN")
        with pytest.raises(Conflict, match="takes no more steps"):
            await setup.coordination.run_step(job_id, asked("hang", 2))
        assert (await step).end.status is Status.CANCELLED
