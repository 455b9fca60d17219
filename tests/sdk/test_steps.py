"""Steps: what is refused before it is sent, what is sent, and how results are returned."""

import pickle
import shlex
import threading
from collections.abc import Callable

import pytest
from danube._open_steps import MAX_PARALLEL, steps_without_end
from danube._retry import MAX_DELAY_SECONDS, MAX_ON, MAX_TIMES, ON_REASONS
from danube._session import StepCall

from danube import DanubeError, StepFailed, StepResult, pipeline, step
from danube_pkg.core.jobs.steps import MAX_RETRIES, MAX_RETRY_DELAY_SECONDS, MAX_RETRY_ON, RETRY_REASONS
from tests.sdk.session import RecordingSession, fail


@pytest.mark.parametrize(
    "call",
    [
        lambda: step.run(""),
        lambda: step.run("  \n"),
        lambda: step.run("echo \0"),
        lambda: step.run(["echo", "hi"]),  # type: ignore[arg-type]
        lambda: step.run("echo \ud800"),
        lambda: step.run("true", name="\udcff"),
        lambda: step.run("true", image=b"busybox"),  # type: ignore[arg-type]
        lambda: step.run("true", working_directory="\ud800"),
        lambda: step.run("true", env={"N": 3}),  # type: ignore[dict-item]
        lambda: step.run("true", env={3: "N"}),  # type: ignore[dict-item]
        lambda: step.run("true", env={"A": "\udcff"}),
        lambda: step.run("true", env={"": "x"}),
        lambda: step.run("true", env={"A=B": "x"}),
        lambda: step.run("true", env={"A": "\0"}),
        lambda: step.run("true", timeout_seconds=0),
        lambda: step.run("true", timeout_seconds=-1),
        lambda: step.run("true", retries=-1),
        lambda: step.run("true", retries=11),
        lambda: step.run("true", retries=step.retry(0)),
        lambda: step.run("true", retries=step.retry(2, 3601)),
        lambda: step.run("true", retries=step.retry(2, on="step-timeout")),
        lambda: step.run("true", retries=step.retry(2, on=[256])),
        lambda: step.run("true", retries=step.retry(2, on=["stopped"])),
        lambda: step.run("true", shell=""),
        lambda: step.run("true", shell="x" * 201),
        lambda: step.run("true", shell=["bash"]),  # type: ignore[arg-type]
        lambda: pipeline(name="A", shell="bash\0"),
        lambda: step.run("true", env=["A"]),  # type: ignore[arg-type]
        lambda: step.run("true", timeout_seconds="5"),  # type: ignore[arg-type]
        lambda: step.run("true", retries=1.5),  # type: ignore[arg-type]
        lambda: step.run("true", retries=True),
        lambda: step.service("db", "serve", ready=5).__enter__(),  # type: ignore[arg-type]
        lambda: step.service("db", "serve", ready_seconds="9").__enter__(),  # type: ignore[arg-type]
        lambda: pipeline(name="A", env=["A"]),  # type: ignore[arg-type]
        lambda: pipeline(name="A", env={"A=B": "1"}),
        lambda: pipeline(name="A", env={"A": 1}),  # type: ignore[dict-item]
        lambda: step.build_image(destination="app:1"),
        lambda: step.build_image(destination=None, dockerfile=" "),
        lambda: step.build_image(destination="r.test/a", build_args={"A": 1}),  # type: ignore[dict-item]
        lambda: step.build_image(destination=5),  # type: ignore[arg-type]
    ],
)
def test_a_step_that_cannot_be_run_is_refused_before_it_is_sent(
    session: RecordingSession, call: Callable[[], object]
) -> None:
    with pytest.raises(DanubeError) as refusal:
        call()
    assert refusal.value.reference == "step-invalid"
    assert session.calls == []


def test_a_refusal_shows_no_value_of_a_variable(session: RecordingSession) -> None:
    for value in (b"hunter22", "hunter22\udcff"):
        with pytest.raises(DanubeError, match="the value of 'TOKEN' in env") as refusal:
            step.run("true", env={"TOKEN": value})  # type: ignore[dict-item]
        assert "hunter22" not in f"{refusal.value} {refusal.value.hint}"
    assert steps_without_end() == []


def test_a_call_has_all_arguments(session: RecordingSession) -> None:
    step.run(
        "make test\nmake lint",
        name="Test",
        image="node:20",
        env={"CI": "1"},
        working_directory="web",
        timeout_seconds=60,
        retries=2,
        shell="bash -e",
    )
    where = f"{session.workspace}/web"
    assert session.calls == [
        StepCall(1, "Test", "make test\nmake lint", "node:20", {"CI": "1"}, where, 60, 2, True, "bash -e")
    ]


def test_retries_may_have_a_pause_and_name_their_failures(session: RecordingSession) -> None:
    step.run("make", retries=step.retry(3, 10, on=[75, "step-timeout", 75]))
    call = session.calls[0]
    assert (call.retries, call.retry_delay_seconds, call.retry_on) == (3, 10, ("75", "step-timeout"))
    assert set(ON_REASONS) == set(RETRY_REASONS), "the SDK cannot import the server's list"
    assert (MAX_TIMES, MAX_DELAY_SECONDS, MAX_ON) == (MAX_RETRIES, MAX_RETRY_DELAY_SECONDS, MAX_RETRY_ON)


def test_defaults_and_sequences(session: RecordingSession) -> None:
    step.run("\n make test\nmake lint")
    step.run("x" * 100, working_directory="/tmp", check=False)
    first, second = session.calls
    assert first == StepCall(1, "make test", "\n make test\nmake lint", "", {}, session.workspace, 0, 0, True)
    assert (second.sequence, second.name, second.working_directory) == (2, "x" * 57 + "...", "/tmp")


def test_neither_command_nor_environment_is_in_the_text_of_a_call(session: RecordingSession) -> None:
    step.run("deploy --with hunter2", name="Deploy", env={"TOKEN": "hunter2"})
    assert "hunter2" not in repr(session.calls[0])


def test_a_result_describes_the_end(session: RecordingSession) -> None:
    result = step.run("make")
    assert (result.ok, result.exit_code, result.output) == (True, 0, "done\n")


def test_a_checked_step_that_fails_raises(session: RecordingSession) -> None:
    session.ends["Test"] = fail
    with pytest.raises(StepFailed, match="step 'Test' failed with exit code 3") as failure:
        step.run("make test", name="Test")
    assert (failure.value.reference, failure.value.result.exit_code) == ("step-failed", 3)


def test_an_unchecked_step_that_fails_returns_its_result(session: RecordingSession) -> None:
    session.ends["Test"] = fail
    result = step.run("make test", name="Test", check=False)
    assert (result.ok, result.exit_code, result.reason) == (False, 3, "step-failed")


def test_reading_lost_output_is_refused(session: RecordingSession) -> None:
    session.ends["Test"] = lambda call: StepResult(call.name, "success", 0, 0.1)
    with pytest.raises(DanubeError) as refusal:
        print(step.run("make test", name="Test").output)
    assert refusal.value.reference == "output-lost"


def test_a_call_outside_a_job_is_refused_with_the_command_that_runs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danube._session._current", None)
    with pytest.raises(DanubeError, match="danube run") as refusal:
        step.run("true")
    assert refusal.value.reference == "not-in-a-job"


# --- in parallel


def all_of(*names: str) -> None:
    """A parallel block of steps with these names."""
    with step.parallel():
        for name in names:
            step.start("make", name=name)


def test_a_started_step_runs_in_the_background(session: RecordingSession) -> None:
    released = threading.Event()

    def waits(call: StepCall) -> StepResult:
        assert released.wait(30)
        return StepResult(call.name, "success", 0, 0.1)

    session.ends["slow"] = waits
    handle = step.start("make docs", name="slow")
    assert not handle.done
    step.run("make", name="quick")
    assert session.ended == ["quick"]
    released.set()
    assert handle.wait().ok
    assert handle.done


def test_waiting_for_a_failed_step_raises(session: RecordingSession) -> None:
    session.ends["Test"] = fail
    handle = step.start("make test", name="Test")
    for _ in range(2):
        with pytest.raises(StepFailed):
            handle.wait()


def test_parallel_waits_for_all_and_raises_the_first_with_the_others_as_notes(session: RecordingSession) -> None:
    first_may_end = threading.Event()

    def fails_last(call: StepCall) -> StepResult:
        assert first_may_end.wait(30)
        return fail(call)

    def fails_first(call: StepCall) -> StepResult:
        first_may_end.set()
        return fail(call)

    session.ends = {"a": fails_last, "c": fails_first}
    with pytest.raises(StepFailed) as failure:
        all_of("a", "b", "c")
    assert failure.value.result.name == "a"
    assert failure.value.__notes__ == ["step 'c' failed with exit code 3"]
    assert sorted(session.ended) == ["a", "b", "c"]


def test_parallel_waits_for_all_when_the_server_refuses_one(session: RecordingSession) -> None:
    refused = threading.Event()

    def refuse(call: StepCall) -> StepResult:
        refused.set()
        raise DanubeError("step-too-large", "the command is too large")

    def outlasts(call: StepCall) -> StepResult:
        assert refused.wait(30)
        return fail(call)

    session.ends = {"large": refuse, "other": outlasts}
    with pytest.raises(DanubeError, match="too large") as failure:
        all_of("large", "other")
    assert session.ended.count("other") == 1
    assert failure.value.__notes__ == ["step 'other' failed with exit code 3"]


def test_an_exception_in_the_block_is_raised_once_all_have_ended(session: RecordingSession) -> None:
    session.ends["Test"] = fail

    def block() -> None:
        with step.parallel():
            step.start("make test", name="Test")
            print(1 // 0)

    with pytest.raises(ZeroDivisionError):
        block()
    assert session.ended == ["Test"]


def test_blocks_nest_and_end(session: RecordingSession) -> None:
    with step.parallel():
        step.start("make", name="outer")
        with step.parallel():
            step.start("make", name="inner")
        assert "inner" in session.ended
    assert sorted(session.ended) == ["inner", "outer"]
    session.ends["later"] = fail
    step.start("make", name="later")  # not started in a block: nothing is raised here


def test_the_number_of_parallel_steps_is_limited(session: RecordingSession) -> None:
    running, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def counts(call: StepCall) -> StepResult:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == MAX_PARALLEL:
                full.set()
        assert full.wait(30)
        with lock:
            running -= 1
        return StepResult(call.name, "success", 0, 0.1)

    with step.parallel():
        for number in range(MAX_PARALLEL + 20):
            session.ends[str(number)] = counts
            step.start("make", name=str(number))
    assert most == MAX_PARALLEL
    assert len(session.ended) == MAX_PARALLEL + 20


def test_a_stopped_step_returns_its_result_and_raises_nothing(session: RecordingSession) -> None:
    session.ends["server"] = session.until_stopped
    handle = step.start("serve", name="server")
    assert not handle.done
    result = handle.stop()
    assert (result.status, result.reason, result.ok) == ("cancelled", "stopped", False)
    assert handle.stop() == result
    assert steps_without_end() == []


def test_a_stop_waits_for_the_call_that_starts_the_step(session: RecordingSession) -> None:
    session.ends["server"] = session.until_stopped
    session.unknown_stops = 3
    assert step.start("serve", name="server").stop().reason == "stopped"
    assert session.unknown_stops == 0


def test_a_step_that_had_failed_before_its_stop_raises(session: RecordingSession) -> None:
    session.ends["server"] = fail
    handle = step.start("serve", name="server")
    with pytest.raises(StepFailed, match="exit code 3"):
        handle.stop()


def test_a_service_is_ready_in_its_block_and_ends_with_it(session: RecordingSession) -> None:
    session.ends["db"] = session.until_stopped
    with step.service("db", "serve", ready="probe", image="postgres:16", env={"A": "1"}) as db:
        assert session.ended == ["db is ready"]
        step.run("make test")
    assert session.ended == ["db is ready", "make test", "db"]
    assert db.wait().reason == "stopped"
    probe = next(call for call in session.calls if call.name == "db is ready")
    assert (probe.image, probe.environment, probe.check) == ("postgres:16", {"A": "1"}, False)
    assert probe.command == "until probe\ndo sleep 0.2\ndone"


def test_a_service_ends_with_a_block_that_fails(session: RecordingSession) -> None:
    session.ends |= {"db": session.until_stopped, "make test": fail}
    with pytest.raises(StepFailed, match="make test"), step.service("db", "serve"):
        step.run("make test")
    assert session.ended == ["make test", "db"]


def test_a_service_that_ends_before_it_is_ready_says_so(session: RecordingSession) -> None:
    session.ends |= {"db": fail, "db is ready": session.until_stopped}
    with pytest.raises(StepFailed, match="step 'db' failed with exit code 3"), step.service("db", "x", ready="probe"):
        pytest.fail("the block of a service that is not there was entered")
    assert "db is ready" in session.ended


def test_a_service_in_the_background_is_refused(session: RecordingSession) -> None:
    session.ends["db is ready"] = session.until_stopped
    with pytest.raises(DanubeError, match="ended before it was ready"), step.service("db", "x &", ready="probe"):
        pytest.fail("the block of a service that is not there was entered")


def test_a_service_that_is_never_ready_ends_the_wait(session: RecordingSession) -> None:
    def late(call: StepCall) -> StepResult:
        return StepResult(call.name, "timeout", -1, 5.0, sequence=call.sequence)

    session.ends |= {"db": session.until_stopped, "db is ready": late}
    refused = pytest.raises(StepFailed, match="was not true within 5 s")
    with refused, step.service("db", "serve", ready="probe", ready_seconds=5):
        pytest.fail("the block of a service that is not ready was entered")
    assert session.ended == ["db is ready", "db"]
    assert session.calls[-1].timeout_seconds == 5


def test_a_service_that_ends_within_its_block_fails_the_job(session: RecordingSession) -> None:
    with pytest.raises(StepFailed, match="ended before its block did"), step.service("db", "serve") as db:
        db.wait()


def test_errors_come_back_from_the_children_of_a_process_pool() -> None:
    """An error that cannot be pickled makes `multiprocessing.Pool` wait for ever."""
    refused = DanubeError("a-reference", "what failed", cause="why", hint="what to do")
    failed = StepFailed(StepResult("lint", "failure", 3, 1.0, "step-failed"))
    for error in (refused, failed):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def build_with_output(session: RecordingSession, output: bytes) -> None:
    """Every step succeeds and prints that."""
    session.ends["build"] = lambda call: StepResult(
        call.name, "success", 0, 0.1, sequence=call.sequence, raw_output=output
    )


def test_a_build_is_a_step_with_the_builders_own_words(session: RecordingSession) -> None:
    digest = f"sha256:{'a' * 64}"
    build_with_output(session, f"sha256:{'b' * 64}INFO a layer\n{digest}INFO pushed\n".encode())
    built = step.build_image(
        destination="registry.test:5000/app/web:1", context="web", build_args={"WORD": "two words"}, name="build"
    )
    assert built == f"registry.test:5000/app/web@{digest}"
    (call,) = session.calls
    assert call.image == "ghcr.io/osscontainertools/kaniko:latest"
    assert shlex.split(call.command) == [
        "/kaniko/executor",
        "--context=dir:///workspace/web",
        "--dockerfile=Dockerfile",
        "--cleanup",
        "--build-arg=WORD=two words",
        "--destination=registry.test:5000/app/web:1",
        "--cache=true",
    ]


def test_a_build_without_a_destination_pushes_nothing(session: RecordingSession) -> None:
    assert step.build_image(destination=None, target="test", cache=False, name="build") == ""
    assert session.calls[0].command == (
        "/kaniko/executor --context=dir:///workspace --dockerfile=Dockerfile --cleanup --target=test --no-push"
    )


def test_a_build_without_a_digest_in_its_output_is_an_error(session: RecordingSession) -> None:
    build_with_output(session, b"done\n")
    with pytest.raises(DanubeError, match="its digest is unknown"):
        step.build_image(destination="registry.test/app", name="build")
